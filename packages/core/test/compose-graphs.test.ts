import {
  type Extent,
  expressionRule,
  type Graph,
  InvalidExpressionError,
  inlineGraph,
  inputNames,
  interpret,
  REDUCTIONS,
  type Reduction,
  scalarNames,
  slotShape,
  Tracer,
  traceCombine,
  traceRule,
  type Value,
} from '@frugaljs/core';
import * as tf from '@tensorflow/tfjs-core';
import '@tensorflow/tfjs-backend-cpu';
import fc from 'fast-check';
import { beforeAll, describe, expect, test } from 'vitest';
import { inputExtents, type Program, poolEntry, programArbitrary, scalarsOf, trace } from './support/program.js';

beforeAll(async () => {
  await tf.setBackend('cpu');
  await tf.ready();
});

/** The last value of a program that has one value per element, or the input `g`. */
function graphOf(program: Program): Graph {
  const tracer = new Tracer();
  const result = trace(program, tracer)
    .filter(value => value.extent === 'element')
    .at(-1)!;
  return tracer.graph({ result }, { result: 'element' });
}

function inputsOf(program: Program, prefix: string): Record<string, tf.Tensor> {
  return Object.fromEntries(
    Object.entries(inputExtents(program)).map(([name, extent], ordinal) => {
      const shape = [...slotShape(extent, program.shape)];
      const size = shape.reduce((a, b) => a * b, 1);
      return [
        prefix + name,
        tf.tensor(
          Array.from({ length: size }, (_, i) => poolEntry(program, ordinal, i)),
          shape,
          'float32',
        ),
      ];
    }),
  );
}

const entries = (tensor: tf.Tensor) => Array.from(tensor.dataSync(), x => x + 0);

describe('inlineGraph', () => {
  test('without bindings writes the same graph down again', () => {
    fc.assert(
      fc.property(programArbitrary, program => {
        const tracer = new Tracer();
        const values = trace(program, tracer).slice(-3);
        const wanted = Object.fromEntries(values.map((value, i) => [`y${i}`, value]));
        const extents = Object.fromEntries(
          values.map((value, i) => [`y${i}`, value.extent === 'host' ? 'tensor' : value.extent]),
        ) as Record<string, Extent>;
        const graph = tracer.graph(wanted, extents);
        const copy = new Tracer();
        expect(copy.graph(inlineGraph(copy, graph, {}), extents)).toEqual(graph);
      }),
    );
  });

  test('puts a prefix before the names of what is not bound', () => {
    const tracer = new Tracer();
    const rule = new Tracer();
    const product = rule.input('g', 'element').mul(rule.input('m', 'row')).mul(rule.scalar('a')).mul(rule.scalar('b'));
    const graph = rule.graph({ direction: product }, { direction: 'element' });
    const { direction } = inlineGraph(tracer, graph, { g: tracer.input('g', 'element'), a: 3 }, 'rule/');
    const whole = tracer.graph({ direction: direction! }, { direction: 'element' });
    expect(inputNames(whole)).toEqual(['g', 'rule/m']);
    expect(scalarNames(whole)).toEqual(['rule/b']);
  });

  test('one graph after another gives what running one after another gives', () => {
    fc.assert(
      fc.property(programArbitrary, programArbitrary, (first, second) => {
        const { shape } = first;
        const inner = graphOf(first);
        const outer = graphOf({ ...second, shape });
        const tracer = new Tracer();
        const { result } = inlineGraph(tracer, inner, {}, 'inner/');
        const whole = tracer.graph(inlineGraph(tracer, outer, { g: result! }, 'outer/') as { result: Value }, {
          result: 'element',
        });
        tf.tidy(() => {
          const innerInputs = inputsOf(first, '');
          const outerInputs = inputsOf({ ...second, shape }, '');
          const between = interpret(inner, innerInputs, scalarsOf(first), shape)['result']!;
          const expected = interpret(outer, { ...outerInputs, g: between }, scalarsOf(second), shape)['result']!;
          const named = (prefix: string, values: Record<string, number>) =>
            Object.fromEntries(Object.entries(values).map(([name, value]) => [prefix + name, value]));
          const actual = interpret(
            whole,
            { ...inputsOf(first, 'inner/'), ...inputsOf({ ...second, shape }, 'outer/') },
            { ...named('inner/', scalarsOf(first)), ...named('outer/', scalarsOf(second)) },
            shape,
          )['result']!;
          expect(entries(actual)).toEqual(entries(expected));
        });
      }),
      { numRuns: 300 },
    );
  });

  test('a rule, a combine and the update become one graph that shares what they share', () => {
    const adam = expressionRule<'m' | 'v', 'c1' | 'c2'>({
      kind: 'adam',
      options: {},
      state: () => ({ m: { extent: 'element' }, v: { extent: 'element' } }),
      scalars: t => ({ c1: 1 / (1 - 0.9 ** t), c2: 1 / (1 - 0.999 ** t) }),
      step: ({ g, m, v, c1, c2 }) => {
        const nextM = m.mul(0.9).add(g.mul(0.1));
        const nextV = v.mul(0.999).add(g.square().mul(0.001));
        return { direction: nextM.mul(c1).div(nextV.mul(c2).sqrt().add(1e-8)), m: nextM, v: nextV };
      },
    });
    const signed = expressionRule<never>({
      kind: 'signed',
      options: {},
      state: () => ({}),
      step: ({ g }) => ({ direction: g.sign() }),
    });
    const shape = [3, 5];
    const ruleGraph = traceRule(adam, shape);
    const residualGraph = traceRule(signed, shape);
    const combineGraph = traceCombine(
      {
        kind: 'plus',
        options: {},
        rule: signed,
        tolerance: 0,
        state: () => ({}),
        apply: ({ g, lifted, residualDirection }) => ({
          direction: lifted.add(residualDirection.mul(g.square().mean('row').sqrt())),
        }),
      },
      shape,
    );

    const tracer = new Tracer();
    const g = tracer.input('g', 'element');
    const parameter = tracer.input('parameter', 'element');
    const rule = inlineGraph(tracer, ruleGraph, { g }, 'rule/');
    const residual = tracer.input('residual', 'element');
    const rest = inlineGraph(tracer, residualGraph, { g: residual }, 'residual/');
    const whole = inlineGraph(tracer, combineGraph, {
      g,
      lifted: rule['direction']!,
      residual,
      residualDirection: rest['direction']!,
    });
    const graph = tracer.graph(
      { parameter: parameter.sub(whole['direction']!.mul(tracer.scalar('lr'))), m: rule['m']!, v: rule['v']! },
      { parameter: 'element', m: 'element', v: 'element' },
    );
    expect(graph.nodes.filter(node => node.op === 'square')).toHaveLength(1);

    tf.tidy(() => {
      const tensors = ['g', 'parameter', 'residual', 'm', 'v'].map((_, i) =>
        tf.randomUniform(shape, 0.1, 1, 'float32', i),
      );
      const [gradient, weights, missed, m, v] = tensors as [tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor];
      const scalars = adam.scalars!(3, shape);
      const one = interpret(
        graph,
        { g: gradient, parameter: weights, residual: missed, 'rule/m': m, 'rule/v': v },
        { 'rule/c1': scalars.c1, 'rule/c2': scalars.c2, lr: 0.01 },
        shape,
      );
      const low = interpret(ruleGraph, { g: gradient, m, v }, scalars, shape);
      const high = interpret(residualGraph, { g: missed }, {}, shape);
      const combined = interpret(
        combineGraph,
        { g: gradient, lifted: low['direction']!, residual: missed, residualDirection: high['direction']! },
        {},
        shape,
      );
      expect(entries(one['m']!)).toEqual(entries(low['m']!));
      expect(entries(one['v']!)).toEqual(entries(low['v']!));
      const stepped = tf.sub(weights, tf.mul(combined['direction']!, 0.01));
      expect(entries(one['parameter']!)).toEqual(entries(stepped));
    });
  });

  describe('a binding with fewer values stands for their broadcast', () => {
    const shape = [2, 3];
    const rows = [4, -6];
    const columns = [1, 5, -9];
    const blocks = [
      [2, -3],
      [8, 0.5],
    ];
    interface Bound {
      readonly extent?: Extent;
      at(row: number, column: number): number;
      tensor(): tf.Tensor;
    }
    const bound: Readonly<Record<string, Bound>> = {
      number: { at: () => 3, tensor: () => tf.scalar(0) },
      tensor: { extent: 'tensor', at: () => 7, tensor: () => tf.scalar(7) },
      row: { extent: 'row', at: i => rows[i]!, tensor: () => tf.tensor(rows, [2, 1]) },
      column: { extent: 'column', at: (_, j) => columns[j]!, tensor: () => tf.tensor(columns, [1, 3]) },
      // Of the second block of each row there is one column.
      block: { extent: 'block 2', at: (i, j) => blocks[i]![j >> 1]!, tensor: () => tf.tensor(blocks, [2, 2]) },
    };
    const PER = ['tensor', 'row', 'column', 'block 2'] as const;
    const needsCount: Readonly<Record<string, readonly Extent[]>> = {
      number: PER,
      tensor: PER,
      row: ['tensor', 'row', 'block 2'],
      column: ['tensor', 'column', 'block 2'],
      block: PER,
    };
    // How many columns a block has only the size of the tensor tells, and a mean divides by n.
    const isRefused = (name: string, reduction: Reduction, per: Extent): boolean => {
      if (reduction === 'sum') return needsCount[name]!.includes(per);
      if (reduction === 'mean') return name === 'block' || per === 'block 2';
      return (name === 'block' && per === 'column') || (name === 'column' && per === 'block 2');
    };

    const cases = Object.keys(bound).flatMap(name =>
      REDUCTIONS.flatMap(reduction => PER.map(per => ({ name, reduction, per }))),
    );
    test.each(cases)('$reduction per $per of one bound to a $name', ({ name, reduction, per }) => {
      const inner = new Tracer();
      const graph = inner.graph({ y: inner.input('x', 'element').mul(2)[reduction](per) }, { y: per });
      const { extent, at, tensor } = bound[name]!;
      const tracer = new Tracer();
      const inline = () =>
        inlineGraph(tracer, graph, { x: extent === undefined ? at(0, 0) : tracer.input('x', extent) });
      if (isRefused(name, reduction, per)) {
        const written = per === 'block 2' ? '{ block: 2 }' : `'${per}'`;
        expect(inline).toThrow(InvalidExpressionError);
        expect(inline).toThrow(`${reduction}(${written}): expected one value per entry of the sum`);
        return;
      }
      const whole = tracer.graph(inline() as { y: Value }, { y: per });
      tf.tidy(() => {
        const dense = tf.tensor2d([0, 1].map(i => [0, 1, 2].map(j => at(i, j))));
        const expected = interpret(graph, { x: dense }, {}, shape)['y']!;
        const actual = interpret(whole, { x: tensor() }, {}, shape)['y']!;
        expect(actual.shape).toEqual(expected.shape);
        // A mean over the broadcast adds up more numbers, and rounds more often.
        entries(expected).forEach((entry, i) => {
          expect(entries(actual)[i]).toBeCloseTo(entry, 5);
        });
      });
    });

    test('a sum over zeros is 0, whatever their number', () => {
      const inner = new Tracer();
      const residual = inner.input('residual', 'element');
      const graph = inner.graph({ norm: residual.square().sum().sqrt() }, { norm: 'tensor' });
      const tracer = new Tracer();
      const { norm } = inlineGraph(tracer, graph, { residual: 0 });
      expect(tracer.graph({ norm: norm! }, { norm: 'tensor' }).nodes).toEqual([
        { op: 'constant', value: 0, extent: 'host' },
      ]);
    });

    test('bindings that the graph does not read are ignored', () => {
      const inner = new Tracer();
      const graph = inner.graph({ y: inner.input('x', 'element') }, { y: 'element' });
      const tracer = new Tracer();
      const x = tracer.input('g', 'element');
      expect(inlineGraph(tracer, graph, { x, unread: 1 })['y']).toBe(x);
    });
  });

  test('a binding that does not fit is an error', () => {
    const inner = new Tracer();
    const v = inner.input('v', 'row');
    const graph = inner.graph({ y: v.mul(inner.scalar('a')) }, { y: 'row' });
    const tracer = new Tracer();
    const g = tracer.input('g', 'element');
    expect(() => inlineGraph(tracer, graph, { v: g })).toThrow(
      'v: expected at most one value per row, found one value per element.',
    );
    expect(() => inlineGraph(tracer, graph, { a: g.mean() })).toThrow(
      'a: expected a number, found one value per tensor.',
    );
    expect(() => inlineGraph(tracer, graph, { v })).toThrow('found a value of another step');
    expect(() => inlineGraph(tracer, graph, { v: undefined as unknown as number })).toThrow(InvalidExpressionError);
  });
});
