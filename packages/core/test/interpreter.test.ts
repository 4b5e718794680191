import {
  interpret,
  type Shape,
  ShapeMismatchError,
  select,
  Tracer,
  UnknownNameError,
  type Value,
} from '@frugaljs/core';
import * as tf from '@tensorflow/tfjs-core';
import { describe, expect, test } from 'vitest';
import { BACKENDS, useBackend } from '../../../tools/test-support/backends.js';

/** Runs one expression of `g` and returns its entries. */
function run(f: (g: Value, tracer: Tracer) => Value | number, entries: readonly number[], shape: Shape): number[] {
  const tracer = new Tracer();
  const graph = tracer.graph({ y: f(tracer.input('g', 'element'), tracer) }, { y: 'element' });
  return tf.tidy(() => {
    const g = tf.tensor([...entries], [...shape], 'float32');
    return Array.from(interpret(graph, { g }, {}, shape)['y']!.dataSync(), x => x + 0);
  });
}

describe.each(BACKENDS)('interpret (%s)', backend => {
  useBackend(backend);

  const { NaN: nan, POSITIVE_INFINITY: inf } = Number;

  test('sign is exact for the smallest numbers, for both zeros and for NaN', () => {
    const x = [3, 1e-7, 1e-8, 1e-30, 1e-38, 0, -0, -1e-38, -1e-30, -1e-8, -1e-7, -3, nan, inf, -inf];
    expect(run(g => g.sign(), x, [x.length])).toEqual([1, 1, 1, 1, 1, 0, 0, -1, -1, -1, -1, -1, nan, 1, -1]);
  });

  test('comparisons are false where an operand is NaN', () => {
    const x = [nan, 1, 2];
    expect(run(g => g.less(1), x, [3])).toEqual([0, 0, 0]);
    expect(run(g => g.lessEqual(1), x, [3])).toEqual([0, 1, 0]);
    expect(run(g => g.greater(1), x, [3])).toEqual([0, 0, 1]);
    expect(run(g => g.greaterEqual(1), x, [3])).toEqual([0, 1, 1]);
    expect(run(g => g.equal(1), x, [3])).toEqual([0, 1, 0]);
    expect(run(g => g.equal(g), x, [3])).toEqual([0, 1, 1]);
  });

  test('maximum and minimum are NaN where either operand is, on either side and however wide', () => {
    const x = [nan, -2, 5];
    expect(run(g => g.maximum(1), x, [3])).toEqual([nan, 1, 5]);
    expect(run((g, tracer) => tracer.constant(1).maximum(g), x, [3])).toEqual([nan, 1, 5]);
    expect(run((g, tracer) => tracer.constant(1).minimum(g), x, [3])).toEqual([nan, -2, 1]);
    expect(run(g => g.maximum(nan), x, [3])).toEqual([nan, nan, nan]);
    const rows = [nan, 1, 2, 3, 4, 5];
    expect(run(g => g.mul(0).sum('row').maximum(g.sum('column').mul(0)), rows, [2, 3])).toEqual([
      nan,
      nan,
      nan,
      nan,
      0,
      0,
    ]);
  });

  test('divNoNan is 0 where the divisor is, whatever the dividend', () => {
    expect(run(g => g.divNoNan(g.sub(1)), [1, 2, nan, 3], [4])).toEqual([0, 2, nan, 1.5]);
    expect(run(g => g.divNoNan(0), [1, nan], [2])).toEqual([0, 0]);
  });

  test('select takes x where the condition is not 0, NaN included', () => {
    expect(run(g => select(g, 1, 2), [0, -0, 3, nan, -1e-30], [5])).toEqual([2, 2, 1, 1, 1]);
  });

  describe.each<[Shape, number, number]>([
    [[], 1, 1],
    [[4], 1, 4],
    [[3, 4], 3, 4],
    [[2, 3, 2], 6, 2],
    [[2, 1, 2, 3], 4, 3],
  ])('reductions of shape [%s]', (shape, rows, columns) => {
    const matrix = Array.from({ length: rows }, (_, i) =>
      Array.from({ length: columns }, (_, j) => ((i * 7 + j * 3) % 11) - 4),
    );
    const transposed = Array.from({ length: columns }, (_, j) => matrix.map(row => row[j]!));
    const reduce = {
      sum: (x: number[]) => x.reduce((a, b) => a + b, 0),
      mean: (x: number[]) => x.reduce((a, b) => a + b, 0) / x.length,
      max: (x: number[]) => Math.max(...x),
      min: (x: number[]) => Math.min(...x),
    };

    test.each(['sum', 'mean', 'max', 'min'] as const)('%s per row, column and tensor', name => {
      const tracer = new Tracer();
      const g = tracer.input('g', 'element');
      const graph = tracer.graph(
        {
          rows: g[name]('row'),
          columns: g[name]('column'),
          tensor: g[name](),
          spread: g[name]('row').add(g[name]('column')),
        },
        { rows: 'row', columns: 'column', tensor: 'tensor', spread: 'element' },
      );
      const byRow = matrix.map(reduce[name]);
      const byColumn = transposed.map(reduce[name]);
      tf.tidy(() => {
        const result = interpret(graph, { g: tf.tensor(matrix.flat(), [...shape], 'float32') }, {}, shape);
        const expectEntries = (tensor: tf.Tensor, expectedShape: Shape, entries: number[]) => {
          expect(tensor.shape).toEqual(expectedShape);
          const actual = tensor.dataSync();
          expect(actual).toHaveLength(entries.length);
          entries.forEach((entry, i) => {
            expect(actual[i]).toBeCloseTo(entry, 5);
          });
        };
        expectEntries(result['rows']!, [rows, 1], byRow);
        expectEntries(result['columns']!, [1, columns], byColumn);
        expectEntries(result['tensor']!, [], [reduce[name](matrix.flat())]);
        expectEntries(
          result['spread']!,
          shape,
          byRow.flatMap(r => byColumn.map(c => r + c)),
        );
      });
    });
  });

  test('a narrower result is broadcast to the extent of its output', () => {
    const tracer = new Tracer();
    const g = tracer.input('g', 'element');
    const largest = g.max();
    const graph = tracer.graph(
      { row: largest, column: largest, element: g.sum('row'), one: 2.5, tensor: largest },
      { row: 'row', column: 'column', element: 'element', one: 'row', tensor: 'tensor' },
    );
    tf.tidy(() => {
      const result = interpret(graph, { g: tf.tensor2d([1, 2, 3, 4, 5, 6], [2, 3]) }, {}, [2, 3]);
      const entries = Object.fromEntries(Object.entries(result).map(([name, y]) => [name, y.arraySync()]));
      expect(entries).toEqual({
        row: [[6], [6]],
        column: [[6, 6, 6]],
        element: [
          [6, 6, 6],
          [15, 15, 15],
        ],
        one: [[2.5], [2.5]],
        tensor: 6,
      });
    });
  });

  test('a number stands for a tensor filled with it, in sums too', () => {
    const tracer = new Tracer();
    const g = tracer.input('g', 'element');
    const r = tracer.input('r', 'row');
    const graph = tracer.graph(
      { all: g.sum(), perColumn: g.sum('column'), ofRows: r.sum(), product: g.mul(r).sum(), mean: g.mean('row') },
      { all: 'tensor', perColumn: 'column', ofRows: 'tensor', product: 'tensor', mean: 'row' },
    );
    tf.tidy(() => {
      const rows = tf.tensor2d([1, 2], [2, 1]);
      const filled = interpret(graph, { g: 2, r: rows }, {}, [2, 3]);
      const dense = interpret(graph, { g: tf.fill([2, 3], 2), r: rows }, {}, [2, 3]);
      for (const name of Object.keys(graph.outputs)) {
        expect(filled[name]!.arraySync()).toEqual(dense[name]!.arraySync());
      }
      expect(interpret(graph, { g: 2, r: 5 }, {}, [2, 3])['ofRows']!.arraySync()).toBe(10);
    });
  });

  test('a number that stands for a tensor is rounded as its entries are', () => {
    const tracer = new Tracer();
    const g = tracer.input('g', 'element');
    const tiny = tracer.scalar('tiny');
    const chosen = select(tiny.greater(0), tiny.add(1), g);
    const graph = tracer.graph(
      { log: g.add(tiny).log(), sum: g.add(tiny).sum(), chosen: chosen.sub(1), difference: g.sub(tiny) },
      { log: 'element', sum: 'tensor', chosen: 'element', difference: 'element' },
    );
    tf.tidy(() => {
      const filled = interpret(graph, { g: 1 }, { tiny: 1e-9 }, [2]);
      const dense = interpret(graph, { g: tf.ones([2]) }, { tiny: 1e-9 }, [2]);
      for (const name of Object.keys(graph.outputs)) {
        expect(filled[name]!.arraySync()).toEqual(dense[name]!.arraySync());
      }
      expect(filled['log']!.arraySync()).toEqual([0, 0]);
      expect(interpret(graph, { g: 0.1 }, { tiny: 0.1 }, [2])['difference']!.arraySync()).toEqual([0, 0]);
    });
  });

  test('per-step numbers are computed in float64 and rounded once', () => {
    const tracer = new Tracer();
    const t = tracer.scalar('t');
    const graph = tracer.graph({ y: tracer.input('g', 'element').mul(t.add(1).sub(t)) }, { y: 'element' });
    tf.tidy(() => {
      // In float32, 1e9 + 1 - 1e9 is 0.
      const result = interpret(graph, { g: tf.tensor1d([3]) }, { t: 1e9 }, [1]);
      expect(result['y']!.dataSync()[0]).toBe(3);
    });
  });

  test('outputs outlive the inputs and each other', () => {
    const tracer = new Tracer();
    const g = tracer.input('g', 'element');
    const graph = tracer.graph(
      { same: g, again: g, twice: g.add(g) },
      { same: 'element', again: 'element', twice: 'element' },
    );
    const before = tf.memory().numTensors;
    const input = tf.tensor1d([1, 2]);
    const { same, again, twice } = interpret(graph, { g: input }, {}, [2]);
    expect(new Set([input.id, same!.id, again!.id, twice!.id]).size).toBe(4);
    input.dispose();
    same!.dispose();
    expect(Array.from(again!.dataSync())).toEqual([1, 2]);
    expect(Array.from(twice!.dataSync())).toEqual([2, 4]);
    tf.dispose([again!, twice!]);
    expect(tf.memory().numTensors).toBe(before);
  });

  test('an error leaks nothing and leaves the inputs alone', () => {
    const tracer = new Tracer();
    const g = tracer.input('g', 'element');
    const graph = tracer.graph({ y: g.add(1).mul(tracer.input('v', 'row')) }, { y: 'element' });
    const input = tf.ones([2, 3]);
    const wrong = tf.ones([2]);
    const before = tf.memory().numTensors;
    const missing = () => interpret(graph, { g: input }, {}, [2, 3]);
    expect(missing).toThrow(UnknownNameError);
    expect(missing).toThrow(
      'inputs.v: expected a tensor or a number for every input that the graph reads, found inputs g.',
    );
    const misshapen = () => interpret(graph, { g: input, v: wrong }, {}, [2, 3]);
    expect(misshapen).toThrow(ShapeMismatchError);
    expect(misshapen).toThrow('inputs.v: expected shape [2,1], one value per row of [2,3], found [2].');
    expect(() => interpret(graph, { g: input, v: 1 }, {}, [3, 2])).toThrow('inputs.g: expected shape [3,2]');
    expect(tf.memory().numTensors).toBe(before);
    expect(Array.from(input.dataSync())).toEqual([1, 1, 1, 1, 1, 1]);
    tf.dispose([input, wrong]);
  });

  test('a step of Adam holds two temporaries at a time beside its results', async () => {
    const tracer = new Tracer();
    const [g, m, v] = ['g', 'm', 'v'].map(name => tracer.input(name, 'element')) as [Value, Value, Value];
    const nextM = m.mul(0.9).add(g.mul(0.1));
    const nextV = v.mul(0.999).add(g.square().mul(0.001));
    const direction = nextM.mul(tracer.scalar('c1')).div(nextV.mul(tracer.scalar('c2')).sqrt().add(1e-8));
    const graph = tracer.graph({ direction, m: nextM, v: nextV }, { direction: 'element', m: 'element', v: 'element' });
    const size = 10_000;
    const inputs = { g: tf.ones([size]), m: tf.ones([size]), v: tf.ones([size]) };
    const before = tf.memory().numBytes;
    let results: Record<string, tf.Tensor> = {};
    const { peakBytes } = await tf.profile(() => {
      results = interpret(graph, inputs, { c1: 10, c2: 1000 }, [size]);
      return results;
    });
    // Three results and, while the quotient is taken, its two operands; a few scalars.
    expect((peakBytes - before) / size).toBeLessThanOrEqual(6 * 4 + 0.1);
    tf.dispose([inputs, results]);
  });
});
