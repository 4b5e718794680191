import {
  type Combine,
  type ExpressionRule,
  expressionRule,
  InvalidExpressionError,
  inputNames,
  scalarNames,
  select,
  type TensorRule,
  tensorRule,
  traceCombine,
  traceRule,
} from '@frugaljs/core';
import { describe, expect, test } from 'vitest';

const lionLike = expressionRule<'m'>({
  kind: 'lionLike',
  options: {},
  state: () => ({ m: { extent: 'element' } }),
  step: ({ g, m }) => ({ direction: m.mul(0.9).add(g.mul(0.1)).sign(), m: m.mul(0.99).add(g.mul(0.01)) }),
});

describe('traceRule', () => {
  test('gives a graph from gradient and state to direction and next state', () => {
    const graph = traceRule(lionLike, [3, 4]);
    expect(inputNames(graph)).toEqual(expect.arrayContaining(['g', 'm']));
    expect(graph.outputs['direction']!.extent).toBe('element');
    expect(graph.outputs['m']!.extent).toBe('element');
  });

  test('names per-step scalars, and takes their extent from the argument', () => {
    const corrected = expressionRule<'m', 'correction'>({
      kind: 'corrected',
      options: {},
      state: () => ({ m: { extent: 'element' } }),
      scalars: t => ({ correction: 1 / (1 - 0.9 ** t) }),
      step: ({ g, m, correction }) => {
        const next = m.mul(0.9).add(g.mul(0.1));
        return { direction: next.mul(correction), m: next };
      },
    });
    expect(scalarNames(traceRule(corrected, [2]))).toEqual(['correction']);
    const perRow = traceRule(corrected, [2], 'row');
    expect(scalarNames(perRow)).toEqual([]);
    expect(perRow.nodes).toContainEqual({ op: 'input', name: 'correction', extent: 'row' });
  });

  test('gives the parameter only to rules that declare to read it', () => {
    const step: ExpressionRule['step'] = ({ g, parameter }) => ({
      direction: parameter === undefined ? g : g.mul(parameter.square().mean().sqrt()),
    });
    const base = { type: 'expression', kind: 'scaled', options: {}, state: () => ({}), step } as const;
    expect(inputNames(traceRule(base, [2]))).toEqual(['g']);
    expect(inputNames(traceRule({ ...base, readsParameter: true }, [2]))).toEqual(['g', 'parameter']);
  });

  test('broadcasts a direction that is one number for all', () => {
    const graph = traceRule(
      expressionRule<never>({ kind: 'ones', options: {}, state: () => ({}), step: () => ({ direction: 1 }) }),
      [2],
    );
    expect(graph.nodes).toEqual([{ op: 'constant', value: 1, extent: 'host' }]);
    expect(graph.outputs).toEqual({ direction: { node: 0, extent: 'element' } });
  });

  const broken = (rule: Partial<ExpressionRule>): ExpressionRule => ({
    ...(lionLike as ExpressionRule),
    kind: 'broken',
    ...rule,
  });

  test.each<[string, Partial<ExpressionRule>]>([
    ['broken.state: expected slot and scalar names', { state: () => ({ g: { extent: 'element' } }) }],
    ['found t.', { state: () => ({ t: { extent: 'tensor' } }) }],
    ['found a/b.', { state: () => ({ 'a/b': { extent: 'tensor' } }) }],
    ['found m.', { scalars: () => ({ m: 1 }) }],
    [
      'broken.step: expected outputs direction, m, found outputs direction',
      { step: ({ g }) => ({ direction: g }) as never },
    ],
    ['found outputs direction, m, extra', { step: ({ g, m }) => ({ direction: g, m, extra: g }) as never }],
    ['expected outputs direction, m, found outputs (none)', { step: () => ({}) as never }],
    [
      'v: expected at most one value per tensor, found one value per element',
      { state: () => ({ v: { extent: 'tensor' } }), step: ({ g }) => ({ direction: g, v: g.square() }) },
    ],
  ])('%s', (message, rule) => {
    expect(() => traceRule(broken(rule), [2, 2])).toThrow(InvalidExpressionError);
    expect(() => traceRule(broken(rule), [2, 2])).toThrow(message);
  });
});

describe('traceCombine', () => {
  const base: Combine<'limit'> = {
    kind: 'limited',
    options: {},
    rule: null,
    tolerance: 0,
    state: () => ({ limit: { extent: 'tensor' } }),
    apply: ({ lifted, residual, limit }) => {
      const norm = residual.square().sum().sqrt();
      const scale = select(norm.greater(limit), limit.div(norm), 1);
      return { direction: lifted.add(residual.mul(scale)), limit: norm };
    },
  };

  test('gives a graph from the parts of the gradient to the direction and next state', () => {
    const graph = traceCombine(base as Combine, [2, 3]);
    expect([...inputNames(graph)].sort()).toEqual(['lifted', 'limit', 'residual']);
    expect(Object.keys(graph.outputs)).toEqual(['direction', 'limit']);
  });

  test('names the method in complaints', () => {
    const forgetful = { ...base, apply: ({ lifted }) => ({ direction: lifted }) } as Combine;
    expect(() => traceCombine(forgetful, [2])).toThrow('limited.apply: expected outputs direction, limit');
    const clashing = { ...base, state: () => ({ residual: { extent: 'element' } }) } as unknown as Combine;
    expect(() => traceCombine(clashing, [2])).toThrow('limited.state: expected slot and scalar names');
  });
});

test('tensorRule and expressionRule only add the type', () => {
  const parts = { kind: 'k', options: { a: 1 }, state: () => ({}) };
  const step = () => ({ direction: 0 });
  expect(expressionRule<never>({ ...parts, step })).toEqual({ ...parts, step, type: 'expression' });
  const tensorStep: TensorRule<never>['step'] = ({ g }) => ({ direction: g });
  expect(tensorRule<never>({ ...parts, step: tensorStep })).toEqual({ ...parts, step: tensorStep, type: 'tensor' });
});
