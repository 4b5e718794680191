import {
  type Graph,
  hostValues,
  InvalidExpressionError,
  inputNames,
  lastReads,
  needsMatrixView,
  operandsOf,
  scalarNames,
  select,
  Tracer,
  type Value,
} from '@frugaljs/core';
import * as tf from '@tensorflow/tfjs-core';
import '@tensorflow/tfjs-backend-cpu';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { programArbitrary, trace } from './support/program.js';

const operations = (graph: Graph) => graph.nodes.map(node => node.op);

function traced(build: (tracer: Tracer) => Value | number): Graph {
  const tracer = new Tracer();
  return tracer.graph({ direction: build(tracer) }, { direction: 'element' });
}

describe('common subexpressions', () => {
  test('the same operation on the same operands is one node', () => {
    const graph = traced(tracer => {
      const g = tracer.input('g', 'element');
      return g.square().add(1).sqrt().add(g.square().add(1).sqrt());
    });
    expect(operations(graph)).toEqual(['input', 'square', 'constant', 'add', 'sqrt', 'add']);
  });

  test('inputs, scalars and constants of one name or value are one node', () => {
    const tracer = new Tracer();
    expect(tracer.input('g', 'element')).toBe(tracer.input('g', 'element'));
    expect(tracer.scalar('lr')).toBe(tracer.scalar('lr'));
    expect(tracer.constant(0.1)).toBe(tracer.constant(0.1));
    expect(tracer.constant(Number.NaN)).toBe(tracer.constant(Number.NaN));
  });

  test('different operations, orders, reductions and zeros stay different', () => {
    const tracer = new Tracer();
    const g = tracer.input('g', 'element');
    const m = tracer.input('m', 'element');
    const values = [
      g.add(m),
      g.sub(m),
      m.sub(g),
      g.sum('row'),
      g.sum('column'),
      g.sum(),
      g.mean(),
      select(g, m, 0),
      select(m, g, 0),
      select(g, m, -0),
      tracer.constant(Number.NaN),
      tracer.constant(Number.POSITIVE_INFINITY),
      tracer.constant(Number.NEGATIVE_INFINITY),
    ];
    expect(new Set(values.map(value => value.id)).size).toBe(values.length);
  });
});

test('operations on constants alone become constants, in float64', () => {
  const graph = traced(tracer => {
    const third = tracer.constant(1).div(3);
    const chosen = select(third.less(1), third.sqrt(), third.neg());
    return tracer.input('g', 'element').mul(chosen);
  });
  expect(graph.nodes).toEqual([
    { op: 'constant', value: Math.sqrt(1 / 3), extent: 'host' },
    { op: 'input', name: 'g', extent: 'element' },
    { op: 'mul', x: 1, y: 0, extent: 'element' },
  ]);
});

describe('what no output needs', () => {
  test('is left out, unused inputs included', () => {
    const graph = traced(tracer => {
      const g = tracer.input('g', 'element');
      tracer.input('m', 'element').mul(tracer.scalar('unused')).exp();
      g.abs().log();
      return g.neg();
    });
    expect(operations(graph)).toEqual(['input', 'neg']);
    expect(inputNames(graph)).toEqual(['g']);
    expect(scalarNames(graph)).toEqual([]);
  });

  test('in any graph all nodes are reachable, distinct and follow their operands', () => {
    fc.assert(
      fc.property(programArbitrary, program => {
        const tracer = new Tracer();
        const values = trace(program, tracer);
        const graph = tracer.graph({ out: values.at(-1)! }, { out: 'element' });
        const needed = new Set([graph.outputs['out']!.node]);
        for (let position = graph.nodes.length - 1; position >= 0; position--) {
          expect(needed.has(position)).toBe(true);
          for (const operand of operandsOf(graph.nodes[position]!)) {
            expect(operand).toBeLessThan(position);
            needed.add(operand);
          }
        }
        const written = graph.nodes.map(node =>
          JSON.stringify(node, (_, x) =>
            typeof x === 'number' && !Number.isInteger(x) ? String(x) : Object.is(x, -0) ? '-0' : x,
          ),
        );
        expect(new Set(written).size).toBe(graph.nodes.length);
      }),
    );
  });
});

describe('extents', () => {
  const tracer = new Tracer();
  const g = tracer.input('g', 'element');
  const r = tracer.input('r', 'row');
  const c = tracer.input('c', 'column');
  const t = tracer.input('t', 'tensor');
  const a = tracer.scalar('a');

  test('join as the tensors broadcast', () => {
    expect(a.mul(2).extent).toBe('host');
    expect(t.mul(a).extent).toBe('tensor');
    expect(r.mul(t).extent).toBe('row');
    expect(t.mul(c).extent).toBe('column');
    expect(r.mul(c).extent).toBe('element');
    expect(c.mul(r).extent).toBe('element');
    expect(g.mul(r).extent).toBe('element');
    expect(select(t, r, c).extent).toBe('element');
    expect(select(a.less(1), t, 0).extent).toBe('tensor');
  });

  test('shrink with a reduction, and one that changes nothing is no operation', () => {
    expect(g.sum('row').extent).toBe('row');
    expect(g.mean('column').extent).toBe('column');
    expect(g.max().extent).toBe('tensor');
    expect(r.sum().extent).toBe('tensor');
    expect(r.sum('row')).toBe(r);
    expect(t.mean()).toBe(t);
    expect(a.mean('row')).toBe(a);
  });

  test('of blocks lie within rows and across columns', () => {
    const b = tracer.input('b', { block: 4 });
    expect(b.extent).toBe('block 4');
    for (const within of [a, t, r, b]) expect(within.mul(b).extent).toBe('block 4');
    for (const across of [c, g]) expect(b.mul(across).extent).toBe('element');
    expect(g.mean({ block: 4 }).extent).toBe('block 4');
    expect(b.max({ block: 4 })).toBe(b);
    expect(b.sum('row').extent).toBe('row');
    expect(b.sum().extent).toBe('tensor');
    expect(() => b.sum('column')).toThrow("sum('column'): expected one value per element");
    expect(() => r.sum({ block: 4 })).toThrow('sum({ block: 4 }): expected one value per element');
    expect(needsMatrixView(tracer.graph({ x: g.mul(b) }, { x: 'element' }))).toBe(true);
  });

  test('of blocks of one are those of elements', () => {
    expect(tracer.input('m', { block: 1 }).extent).toBe('element');
    expect(g.mean({ block: 1 })).toBe(g);
  });

  test('of blocks of two sizes do not meet in one operation', () => {
    const [two, four] = [g.mean({ block: 2 }), g.mean({ block: 4 })];
    for (const meet of [() => two.add(four), () => select(two, four, 0), () => select(g, two, four)]) {
      expect(meet).toThrow(InvalidExpressionError);
      expect(meet).toThrow(/step: expected blocks of one size, .*block of . columns.* Use one n for both/);
    }
    expect(two.add(g).add(four).extent).toBe('element');
    expect(() => tracer.graph({ v: two }, { v: { block: 4 } })).toThrow(
      'v: expected at most one value per block of 4 columns, found one value per block of 2 columns. Reduce it (mean({ block: 4 })',
    );
  });

  test.each([0, -2, 1.5, Number.NaN, '4', null])('a block of %s columns is refused', size => {
    const block = { block: size as number };
    expect(() => g.mean(block)).toThrow('mean(per): expected one of tensor, row, column, or { block: n }');
    expect(() => tracer.input('x', block)).toThrow(
      'x.extent: expected one of element, row, column, tensor, or { block: n }',
    );
  });

  test('tell whether a matrix view is needed', () => {
    expect(needsMatrixView(tracer.graph({ x: g.mul(t) }, { x: 'element' }))).toBe(false);
    expect(needsMatrixView(tracer.graph({ x: g.mul(g.sum('row')) }, { x: 'element' }))).toBe(true);
    expect(needsMatrixView(tracer.graph({ x: c.mean() }, { x: 'tensor' }))).toBe(true);
  });

  test.each<[string, () => unknown]>([
    ["sum('column')", () => r.sum('column')],
    ["max('row')", () => c.max('row')],
    ["sum('tensor')", () => a.sum()],
  ])('%s of too few values is an error', (parameter, reduce) => {
    expect(reduce).toThrow(InvalidExpressionError);
    expect(reduce).toThrow(`${parameter}: expected one value per element`);
  });

  test.each(['tensor', 'row', 'column'] as const)('a result per element does not fit an output per %s', extent => {
    expect(() => tracer.graph({ v: g }, { v: extent })).toThrow(InvalidExpressionError);
    expect(() => tracer.graph({ v: g }, { v: extent })).toThrow(
      `v: expected at most one value per ${extent}, found one value per element. Reduce it`,
    );
  });

  test('a result per row does not fit an output per column', () => {
    expect(() => tracer.graph({ v: r }, { v: 'column' })).toThrow('v: expected at most one value per column');
  });
});

test('values in the arithmetic of JavaScript are errors and not NaN', () => {
  const g = new Tracer().input('g', 'element') as unknown as number;
  for (const compute of [() => g * 2, () => 1 - g, () => g + 1, () => -g, () => Math.sqrt(g), () => g > 0]) {
    expect(compute).toThrow(/step: expected the methods of values, such as g\.mul\(2\)/);
  }
  expect(`${g}`).toBe('value 0');
});

describe('foreign operands are errors that say so', () => {
  const tracer = new Tracer();
  const g = tracer.input('g', 'element');
  test.each<[string, unknown, string]>([
    ['a value of another step', new Tracer().input('g', 'element'), 'a value of another step'],
    ['undefined', undefined, 'undefined'],
    ['a string', '0.1', '0.1'],
  ])('%s', (_, operand, found) => {
    expect(() => g.add(operand as number)).toThrow(InvalidExpressionError);
    expect(() => g.add(operand as number)).toThrow(
      `add: expected a number or a value of the same step, found ${found}.`,
    );
  });

  test('a tensor', () => {
    const tensor = tf.scalar(1);
    expect(() => g.mul(tensor as unknown as number)).toThrow('found an instance of Tensor');
    tensor.dispose();
  });

  test('a condition that is no value', () => {
    expect(() => select(true as unknown as Value, g, 0)).toThrow(
      'select.condition: expected a value of the step, found true.',
    );
  });

  test('one name for two things', () => {
    expect(() => tracer.input('g', 'row')).toThrow(
      'g: expected one value per element, as where the name was first used',
    );
    expect(() => tracer.scalar('g')).toThrow(InvalidExpressionError);
  });
});

describe('hostValues', () => {
  test('evaluates constants, scalars and what follows from them in float64, and nothing else', () => {
    const tracer = new Tracer();
    const g = tracer.input('g', 'element');
    const beta = tracer.scalar('beta');
    const correction = tracer.constant(1).sub(beta).reciprocal();
    const graph = tracer.graph({ d: g.mul(correction) }, { d: 'element' });
    const values = hostValues(graph, { beta: 0.999 });
    expect(values).toHaveLength(graph.nodes.length);
    graph.nodes.forEach((node, i) => {
      expect(values[i] === undefined).toBe(node.extent !== 'host');
    });
    expect(values).toContain(1 / (1 - 0.999));
  });

  test('a scalar that is not given is named', () => {
    const graph = traced(tracer => tracer.input('g', 'element').mul(tracer.scalar('correction')));
    expect(() => hostValues(graph, {})).toThrow('scalars.correction: expected a number');
  });

  test.each<[string, (x: Value) => Value, number, number]>([
    ['sign', x => x.sign(), -0, 0],
    ['sign', x => x.sign(), -3, -1],
    ['sign', x => x.sign(), Number.NaN, Number.NaN],
    ['less', x => x.less(1), Number.NaN, 0],
    ['greaterEqual', x => x.greaterEqual(1), Number.NaN, 0],
    ['equal', x => x.equal(x), Number.NaN, 0],
    ['maximum', x => x.maximum(1), Number.NaN, Number.NaN],
    ['divNoNan', x => x.divNoNan(0), 5, 0],
    ['select', x => select(x, 1, 2), Number.NaN, 1],
  ])('%s', (_, f, x, expected) => {
    const tracer = new Tracer();
    const graph = tracer.graph({ y: f(tracer.scalar('x')) }, { y: 'tensor' });
    expect(hostValues(graph, { x })[graph.outputs['y']!.node]).toBe(expected);
  });
});

test('lastReads: every value that is not an output dies once, at its last reader', () => {
  fc.assert(
    fc.property(programArbitrary, program => {
      const tracer = new Tracer();
      const values = trace(program, tracer);
      const graph = tracer.graph({ a: values.at(-1)!, b: values.at(-2)! }, { a: 'element', b: 'element' });
      const outputs = Object.values(graph.outputs).map(output => output.node);
      const deaths = lastReads(graph).flatMap((dying, reader) => dying.map(node => ({ node, reader })));
      const expected = graph.nodes.flatMap((_, node) => {
        const readers = graph.nodes.flatMap((other, i) => (operandsOf(other).includes(node) ? [i] : []));
        return outputs.includes(node) ? [] : [{ node, reader: Math.max(...readers) }];
      });
      const byNode = (one: { node: number }, other: { node: number }) => one.node - other.node;
      expect(deaths.sort(byNode)).toEqual(expected);
    }),
  );
});
