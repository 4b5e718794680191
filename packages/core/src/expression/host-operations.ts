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
  for (const node of graph.nodes) values.push(node.extent === 'host' ? hostValue(node, values, scalars) : undefined);
  return values;
}

function hostValue(
  node: HostNode,
  values: readonly (number | undefined)[],
  scalars: Readonly<Record<string, number>>,
): number {
  if (node.op === 'constant') return node.value;
  if (node.op !== 'scalar') return hostOperation(node, operand => values[operand]!);
  const value = scalars[node.name];
  if (typeof value === 'number') return value;
  throw new UnknownNameError({
    parameter: `scalars.${node.name}`,
    found: value,
    expected: 'a number for every scalar that the graph reads',
  });
}

type HostNode = Exclude<GraphNode, { op: 'input' | 'reduce' }>;

/** The result of one operation on numbers, looked up by their position. */
export function hostOperation(
  node: Exclude<HostNode, { op: 'constant' | 'scalar' }>,
  read: (operand: number) => number,
): number {
  if (node.op === 'select') return read(node.condition) !== 0 ? read(node.x) : read(node.y);
  return 'y' in node ? HOST_BINARY[node.op](read(node.x), read(node.y)) : HOST_UNARY[node.op](read(node.x));
}
