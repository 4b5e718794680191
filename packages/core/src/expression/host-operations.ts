import { UnknownNameError } from '../errors.js';
import type { BinaryOperation, Graph, GraphNode, UnaryOperation } from './graph.js';

/** The one-operand operations on float64 numbers. */
export const HOST_UNARY: Readonly<Record<UnaryOperation, (x: number) => number>> = {
  neg: x => -x,
  abs: Math.abs,
  sqrt: Math.sqrt,
  square: x => x * x,
  sign: x => (x === 0 ? 0 : Math.sign(x)),
  exp: Math.exp,
  log: Math.log,
  reciprocal: x => 1 / x,
};

/** The two-operand operations on float64 numbers. */
export const HOST_BINARY: Readonly<Record<BinaryOperation, (x: number, y: number) => number>> = {
  add: (x, y) => x + y,
  sub: (x, y) => x - y,
  mul: (x, y) => x * y,
  div: (x, y) => x / y,
  maximum: Math.max,
  minimum: Math.min,
  greater: (x, y) => Number(x > y),
  greaterEqual: (x, y) => Number(x >= y),
  less: (x, y) => Number(x < y),
  lessEqual: (x, y) => Number(x <= y),
  equal: (x, y) => Number(x === y),
};

/**
 * Evaluates in float64 what a graph computes on the host: constants, per-step scalars and what follows from them alone.
 * Every executor starts with it, so that bias corrections and the like do not depend on the backend.
 *
 * @returns One entry per node: its value, or `undefined` where the node is not a host value.
 * @throws UnknownNameError when the graph reads a scalar that is not given.
 */
export function hostValues(graph: Graph, scalars: Readonly<Record<string, number>>): (number | undefined)[] {
  const values: (number | undefined)[] = [];
  for (const node of graph.nodes) {
    values.push(node.extent === 'host' ? hostValue(node, values, scalars) : undefined);
  }
  return values;
}

function hostValue(
  node: Exclude<GraphNode, { op: 'input' | 'reduce' }>,
  values: readonly (number | undefined)[],
  scalars: Readonly<Record<string, number>>,
): number {
  switch (node.op) {
    case 'constant':
      return node.value;
    case 'scalar': {
      const value = scalars[node.name];
      if (typeof value === 'number') return value;
      throw new UnknownNameError({
        parameter: `scalars.${node.name}`,
        found: value,
        expected: 'a number for every scalar that the graph reads',
      });
    }
    case 'select':
      return values[node.condition] !== 0 ? values[node.x]! : values[node.y]!;
    default:
      return 'y' in node
        ? HOST_BINARY[node.op](values[node.x]!, values[node.y]!)
        : HOST_UNARY[node.op](values[node.x]!);
  }
}
