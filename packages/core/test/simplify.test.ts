import {
  type Extent,
  type Graph,
  type GraphNode,
  type GraphOutput,
  interpret,
  neededNodes,
  simplify,
  slotShape,
  Tracer,
} from '@frugaljs/core';
import { withOperands } from '@frugaljs/core/graph';
import { dispose, memory, ready, setBackend, type Tensor, tensor } from '@tensorflow/tfjs-core';
import '@tensorflow/tfjs-backend-cpu';
import fc from 'fast-check';
import { beforeAll, describe, expect, test } from 'vitest';
import { inputExtents, type Program, poolEntry, programArbitrary, scalarsOf, trace } from './support/program.js';

beforeAll(async () => {
  await setBackend('cpu');
  await ready();
});

const NEUTRAL = [
  { op: 'add', value: 0, side: 'y' },
  { op: 'add', value: 0, side: 'x' },
  { op: 'add', value: -0, side: 'y' },
  { op: 'sub', value: 0, side: 'y' },
  { op: 'sub', value: -0, side: 'y' },
  { op: 'mul', value: 1, side: 'y' },
  { op: 'mul', value: 1, side: 'x' },
  { op: 'div', value: 1, side: 'y' },
] as const;

/** The last values of a program and all divisors that depend on a tensor. */
function graphOf(program: Program): Graph {
  const tracer = new Tracer();
  const results = trace(program, tracer).slice(-3);
  const names = results.map((_, i) => `y${i}`);
  const extents = results.map(({ extent }) => (extent === 'host' ? 'tensor' : extent));
  const graph = tracer.graph(
    Object.fromEntries(names.map((name, i) => [name, results[i]!])),
    Object.fromEntries(names.map((name, i) => [name, extents[i]!])),
  );
  const divisors = graph.nodes.flatMap(node =>
    node.op === 'reciprocal' ? [node.x] : node.op === 'div' ? [node.y] : [],
  );
  const outputs: Record<string, GraphOutput> = { ...graph.outputs };
  for (const node of divisors) {
    const { extent } = graph.nodes[node]!;
    if (extent !== 'host') outputs[`divisor ${node}`] = { node, extent };
  }
  return { nodes: graph.nodes, outputs };
}

/** The graph with operations that change nothing after some of its nodes, as the choices say, and some unread nodes. */
function weave(graph: Graph, choices: readonly number[]): Graph {
  const nodes: GraphNode[] = NEUTRAL.map(({ value }) => ({ op: 'constant', value, extent: 'host' }));
  const places: number[] = [];
  graph.nodes.forEach((node, id) => {
    places.push(nodes.push(withOperands(node, operand => places[operand]!)) - 1);
    const choice = choices[id % choices.length]!;
    const neutral = NEUTRAL[choice];
    if (neutral === undefined || node.extent === 'host') return;
    const { op, side } = neutral;
    const operands = side === 'y' ? { x: places[id]!, y: choice } : { x: choice, y: places[id]! };
    places[id] = nodes.push({ op, ...operands, extent: node.extent }) - 1;
  });
  const outputs = Object.entries(graph.outputs).map(([name, { node, extent }]) => [
    name,
    { node: places[node]!, extent },
  ]);
  return { nodes, outputs: Object.fromEntries(outputs) };
}

function inputsOf(program: Program): Record<string, Tensor | number> {
  return Object.fromEntries(
    Object.entries(inputExtents(program)).map(([name, extent], ordinal) => {
      if (program.filled.includes(name)) return [name, poolEntry(program, ordinal, 0)];
      const shape = [...slotShape(extent, program.shape)];
      const size = shape.reduce((a, b) => a * b, 1);
      return [
        name,
        tensor(
          Array.from({ length: size }, (_, i) => poolEntry(program, ordinal, i)),
          shape,
          'float32',
        ),
      ];
    }),
  );
}

/** Runs a graph; results without the sign of their zeros. */
function run(graph: Graph, inputs: Record<string, Tensor | number>, program: Program): Map<string, number[]> {
  const results = interpret(graph, inputs, scalarsOf(program), program.shape);
  const values = Object.entries(results).map(
    ([name, result]) => [name, Array.from(result.dataSync(), x => x + 0)] as const,
  );
  dispose(results);
  return new Map(values);
}

const isNeutral = (graph: Graph, node: GraphNode): boolean =>
  NEUTRAL.some(({ op, value, side }) => {
    if (node.op !== op || node.extent === 'host') return false;
    const operand = graph.nodes[node[side]]!;
    return operand.op === 'constant' && operand.value === value;
  });

describe('simplify', () => {
  test('computes what the graph computes, and nothing that changes nothing', () => {
    let compared = 0;
    let removed = 0;
    let special = 0;
    const choices = fc.array(fc.nat({ max: NEUTRAL.length + 2 }), { minLength: 1, maxLength: 12 });
    fc.assert(
      fc.property(programArbitrary, choices, (program, chosen) => {
        const plain = graphOf(program);
        const given = weave(plain, chosen);
        const simple = simplify(given);
        expect(simple.nodes.some(node => isNeutral(simple, node))).toBe(false);
        expect(simple.nodes.length).toBe(simplify(plain).nodes.length);
        expect(simplify(simple)).toEqual(simple);
        expect(extentsOf(simple)).toEqual(extentsOf(given));
        removed += given.nodes.length - NEUTRAL.length - simple.nodes.length;

        const before = memory().numTensors;
        const inputs = inputsOf(program);
        const expected = run(given, inputs, program);
        const actual = run(simple, inputs, program);
        dispose(inputs);
        expect(memory().numTensors).toBe(before);
        // 1 / 0 tells the signs of zeros apart, which may differ.
        const dividesByZero = [...expected].some(([name, values]) => name.startsWith('divisor') && values.includes(0));
        if (dividesByZero) return;
        compared++;
        if ([...expected.values()].flat().some(value => !Number.isFinite(value))) special++;
        expect(actual).toEqual(expected);
      }),
      { seed: 20250311, numRuns: 1500 },
    );
    expect(removed).toBeGreaterThan(1500);
    expect(compared).toBeGreaterThan(750);
    expect(special).toBeGreaterThan(75);
  });

  test('hands an input on where the whole graph changes nothing', () => {
    const tracer = new Tracer();
    const g = tracer.input('g', 'element');
    tracer.input('unread', 'row');
    const graph = tracer.graph({ direction: g.mul(1).add(0).div(1).sub(0) }, { direction: 'element' });
    expect(simplify(graph)).toEqual({
      nodes: [{ op: 'input', name: 'g', extent: 'element' }],
      outputs: { direction: { node: 0, extent: 'element' } },
    });
  });

  test('keeps the extent of an output that is narrower than it is wanted', () => {
    const tracer = new Tracer();
    const graph = tracer.graph({ y: tracer.input('r', 'row').add(0) }, { y: 'element' });
    const x = tensor([1, Number.NaN], [2, 1]);
    const { y } = interpret(simplify(graph), { r: x }, {}, [2, 2]);
    expect(Array.from(y!.dataSync())).toEqual([1, 1, Number.NaN, Number.NaN]);
    dispose([x, y!]);
  });

  test('leaves alone what changes something', () => {
    const tracer = new Tracer();
    const g = tracer.input('g', 'element');
    const k = tracer.scalar('k');
    const outputs = {
      a: tracer.constant(0).sub(g),
      b: tracer.constant(1).div(g),
      c: g.mul(k),
      d: g.add(1),
      e: k.mul(1),
    };
    const extents = { a: 'element', b: 'element', c: 'element', d: 'element', e: 'tensor' } as const;
    const graph = tracer.graph(outputs, extents);
    expect(simplify(graph)).toEqual(graph);
  });

  test('gives an input bit for bit, where adding 0 would change the sign of a zero', () => {
    const tracer = new Tracer();
    const graph = tracer.graph({ y: tracer.input('g', 'element').add(0) }, { y: 'element' });
    const g = tensor([-0, Number.POSITIVE_INFINITY, Number.NaN]);
    const { y } = interpret(simplify(graph), { g }, {}, [3]);
    expect(Array.from(y!.dataSync())).toEqual([-0, Number.POSITIVE_INFINITY, Number.NaN]);
    dispose([g, y!]);
  });
});

test('neededNodes: operands before what reads them, up to what is given', () => {
  const tracer = new Tracer();
  const g = tracer.input('g', 'element');
  const mean = g.square().mean();
  const graph = tracer.graph({ y: g.div(mean.sqrt()), z: g.neg() }, { y: 'element', z: 'element' });
  const operations = (ids: readonly number[]): string[] => ids.map(id => graph.nodes[id]!.op);
  const target = graph.outputs['y']!.node;
  expect(operations(neededNodes(graph.nodes, [target]))).toEqual(['input', 'square', 'reduce', 'sqrt', 'div']);
  expect(operations(neededNodes(graph.nodes, [target], node => node.op === 'reduce'))).toEqual([
    'input',
    'reduce',
    'sqrt',
    'div',
  ]);
});

function extentsOf(graph: Graph): Record<string, Extent> {
  return Object.fromEntries(Object.entries(graph.outputs).map(([name, { extent }]) => [name, extent]));
}
