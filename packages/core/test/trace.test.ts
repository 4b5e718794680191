import {
  type Combine,
  type ExpressionRule,
  expressionRule,
  InvalidExpressionError,
  InvalidOptionError,
  inputNames,
  requireCombine,
  requireRule,
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
    expect(inputNames(traceRule({ ...base, reads: ['parameter'] }, [2]))).toEqual(['g', 'parameter']);
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

describe('what a rule that is not right says', () => {
  const rule = (parts: Partial<ExpressionRule>): ExpressionRule => ({
    type: 'expression',
    kind: 'mine',
    options: {},
    state: () => ({ m: { extent: 'element' } }),
    step: ({ g, m }) => ({ direction: g, m: m! }),
    ...parts,
  });
  const step = (of: (x: { g: never; m: never; parameter: never }) => unknown): Partial<ExpressionRule> => ({
    step: of as unknown as ExpressionRule['step'],
  });
  // A rule as JavaScript lets one write it.
  type Any = { [method: string]: (...of: unknown[]) => Any };

  test.each<[string, Partial<ExpressionRule>, RegExp]>([
    ['a power', step(({ g }) => ({ direction: (g as Any)['pow']!(2) })), /pow\(\): .*Write square\(\)/],
    ['a product of matrices', step(({ g }) => ({ direction: (g as Any)['matMul']!(g) })), /matMul\(\): .*tensorRule/],
    ['a method that nothing has', step(({ g }) => (g as Any)['twice']!()), /mine\.step: expected .*g, m.*TypeError/],
    [
      'the parameter, undeclared',
      step(({ parameter }) => ({ direction: (parameter as Any)['mul']!(2) })),
      /mine\.step: .*found `parameter`, which.*reads: \['parameter'\]/,
    ],
    [
      'the parameter as an operand, undeclared',
      step(({ g, parameter, m }) => ({ direction: (g as Any)['add']!(parameter), m })),
      /reads: \['parameter'\]/,
    ],
    ['a single value', step(({ g }) => g), /mine\.step: expected an object { direction, m }, found a single value/],
    ['nothing', step(() => undefined), /mine\.step: expected an object { direction, m }, found undefined/],
    [
      'a value as the condition of ?:',
      step(({ g, m }) => ({ direction: (g as Any)['greater']!(0) ? g : m, m })),
      /mine\.step: expected select\(condition, x, y\).*\(greater\) whose result nothing uses/,
    ],
    [
      'a slot per rows',
      { state: () => ({ m: { extent: 'rows' as never } }) },
      /mine\.state\.m\.extent: .*rows.*mean row/,
    ],
    [
      'a slot of half blocks',
      { state: () => ({ m: { extent: { block: 0.5 } } }) },
      /mine\.state\.m\.extent: expected .* or { block: n } with a whole n of at least 1, found {"block":0\.5}/,
    ],
    [
      'a mean per colum',
      step(({ g, m }) => ({ direction: (g as Any)['mean']!('colum'), m })),
      /mean\(per\): .*mean column/,
    ],
  ])('%s', (_, parts, message) => {
    expect(() => traceRule(rule(parts), [2, 3])).toThrow(InvalidExpressionError);
    expect(() => traceRule(rule(parts), [2, 3])).toThrow(message);
  });

  test('comparisons that are used, and divNoNan, which makes one, are as they were', () => {
    const sound = rule({ step: ({ g, m }) => ({ direction: select(g.greater(0), g, m!), m: g.divNoNan(m!) }) });
    expect(traceRule(sound, [2]).nodes.length).toBeGreaterThan(4);
    expect(traceRule(rule({ step: ({ g }) => ({ direction: g, m: g.greater(0) }) }), [2]).nodes).toHaveLength(3);
  });
});

describe('requireRule', () => {
  const base = { kind: 'mine', options: {}, state: () => ({}), step: () => ({ direction: 0 }) };
  const whole = { ...base, type: 'expression' };

  test('takes rules, and instances of classes with what is their own', () => {
    requireRule('rule', whole);
    requireRule('rule', expressionRule<never>(base));
    class Counting {
      readonly type = 'expression';
      readonly kind = 'mine';
      readonly options = {};
      calls = 0;
      state = () => ({});
      step() {
        this.calls += 1;
        return { direction: 0 };
      }
    }
    requireRule('rule', new Counting());
  });

  test.each<[string, unknown, RegExp]>([
    ['a rule of no type that there is', { ...whole, type: 'expresion' }, /^rule\.type: .*Did you mean expression\?/],
    ['a rule without state', { ...whole, state: undefined }, /^rule: .*without state.*state: \(\) => \(\{\}\)/],
    ['a rule without a kind', { ...whole, kind: undefined }, /^rule: .*kind undefined/],
    ['a key that nothing reads', { ...whole, steps: 3 }, /^rule: mine: .*found the key steps\. Did you mean step\?/],
    [
      'a key that rules of another type have',
      { ...whole, type: 'tensor', refresh: { every: 3 } },
      /found the key refresh/,
    ],
    ['a factory', () => whole, /^rule: expected a rule such as adamW\(\)/],
  ])('%s', (_, rule, message) => {
    expect(() => requireRule('rule', rule)).toThrow(InvalidOptionError);
    expect(() => requireRule('rule', rule)).toThrow(message);
  });

  test('requireCombine refuses one without state, without a tolerance, and one with half a rule', () => {
    const combine = { kind: 'mine', options: {}, rule: null, tolerance: 0, state: () => ({}), apply: () => ({}) };
    requireCombine('combine', combine);
    requireCombine('combine', { ...combine, rule: whole });
    expect(() => requireCombine('combine', { ...combine, state: undefined })).toThrow(/^combine: .*without state/);
    expect(() => requireCombine('combine', { ...combine, tolerance: undefined })).toThrow(/^combine\.tolerance: /);
    expect(() => requireCombine('combine', { ...combine, rule: { ...whole, state: 1 } })).toThrow(
      /^combine\.rule: .*without state/,
    );
    expect(() => requireCombine('combine', { ...combine, rule: undefined })).toThrow(/^combine\.rule: /);
  });
});
