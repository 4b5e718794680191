import { UnknownNameError } from '../errors.js';
import { blockSize, type Extent } from '../slots.js';

export const UNARY_OPERATIONS = ['neg', 'abs', 'sqrt', 'square', 'sign', 'exp', 'log', 'reciprocal'] as const;
export const BINARY_OPERATIONS = [
  'add',
  'sub',
  'mul',
  'div',
  'maximum',
  'minimum',
  'greater',
  'greaterEqual',
  'less',
  'lessEqual',
  'equal',
] as const;
export const REDUCTIONS = ['sum', 'mean', 'max', 'min'] as const;

export type UnaryOperation = (typeof UNARY_OPERATIONS)[number];
export type BinaryOperation = (typeof BINARY_OPERATIONS)[number];
export type Reduction = (typeof REDUCTIONS)[number];

/** `host` values are float64 numbers known before a step starts: constants, per-step scalars and what follows from them. */
export type NodeExtent = 'host' | Extent;

/** How many values there are, in words for messages. */
export function describeExtent(extent: NodeExtent): string {
  if (extent === 'host') return 'a number';
  const size = blockSize(extent);
  return size === null ? `one value per ${extent}` : `one value per block of ${size} columns`;
}

/** An extent as it is written in a rule. */
export function written(extent: NodeExtent): string {
  const size = blockSize(extent);
  return size === null ? `'${extent}'` : `{ block: ${size} }`;
}

interface Anywhere {
  readonly extent: NodeExtent;
}
interface OnHost {
  readonly extent: 'host';
}
interface OnDevice {
  readonly extent: Extent;
}

/** One operation of a {@link Graph}; operands are positions of earlier nodes. */
export type GraphNode =
  | (OnDevice & { readonly op: 'input'; readonly name: string })
  | (OnHost & { readonly op: 'scalar'; readonly name: string })
  | (OnHost & { readonly op: 'constant'; readonly value: number })
  | (Anywhere & { readonly op: UnaryOperation; readonly x: number })
  | (Anywhere & { readonly op: BinaryOperation; readonly x: number; readonly y: number })
  | (Anywhere & { readonly op: 'select'; readonly condition: number; readonly x: number; readonly y: number })
  | (OnDevice & { readonly op: 'reduce'; readonly reduction: Reduction; readonly x: number });

/**
 * What a rule's `step` computes: a list of operations in which every operand precedes its use, and the positions of the
 * results. Common subexpressions appear once. The graph does not know the size of the tensors it will run on, only how
 * many values each node has: one per element, row, column, tensor or block of columns, or a number on the host.
 */
export interface Graph {
  readonly nodes: readonly GraphNode[];
  readonly outputs: Readonly<Record<string, GraphOutput>>;
}

/** A result: the node that computes it and the extent it is stored in, to which a narrower node is broadcast. */
export interface GraphOutput {
  readonly node: number;
  readonly extent: Extent;
}

/** The nodes whose values an operation reads. */
export function operandsOf(node: GraphNode): readonly number[] {
  switch (node.op) {
    case 'input':
    case 'scalar':
    case 'constant':
      return [];
    case 'select':
      return [node.condition, node.x, node.y];
    default:
      return 'y' in node ? [node.x, node.y] : [node.x];
  }
}

/** The same operation on other operands. */
export function withOperands(node: GraphNode, replace: (operand: number) => number): GraphNode {
  switch (node.op) {
    case 'input':
    case 'scalar':
    case 'constant':
      return node;
    case 'select':
      return { ...node, condition: replace(node.condition), x: replace(node.x), y: replace(node.y) };
    default:
      return 'y' in node ? { ...node, x: replace(node.x), y: replace(node.y) } : { ...node, x: replace(node.x) };
  }
}

/** Names of the tensors the graph reads. */
export function inputNames(graph: Graph): readonly string[] {
  return graph.nodes.flatMap(node => (node.op === 'input' ? [node.name] : []));
}

/** Names of the per-step numbers the graph reads. */
export function scalarNames(graph: Graph): readonly string[] {
  return graph.nodes.flatMap(node => (node.op === 'scalar' ? [node.name] : []));
}

/** True when some value has one entry per row, column or block, so that operands must be laid out as matrices. */
export function needsMatrixView(graph: Graph): boolean {
  return graph.nodes.some(
    ({ extent }) => extent === 'row' || extent === 'column' || (extent !== 'host' && blockSize(extent) !== null),
  );
}

/**
 * The sizes of the blocks in a graph. One operation has blocks of one size; a graph has several where, for example, a
 * residual goes to a second rule with blocks.
 */
export function blockSizes(graph: Graph): readonly number[] {
  const extents = [...graph.nodes, ...Object.values(graph.outputs)].map(({ extent }) => extent);
  const sizes = extents.map(blockSize).filter(size => size !== null);
  return [...new Set(sizes)];
}

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

/**
 * Where values die: entry `i` lists the nodes that node `i` is the last to read, so that their memory can be reused as
 * soon as `i` is computed. Nodes that are outputs never die.
 */
export function lastReads(graph: Graph): readonly (readonly number[])[] {
  const alive = new Set(Object.values(graph.outputs).map(output => output.node));
  const dying: number[][] = graph.nodes.map(() => []);
  for (let position = graph.nodes.length - 1; position >= 0; position--) {
    for (const operand of operandsOf(graph.nodes[position]!)) {
      if (alive.has(operand)) continue;
      alive.add(operand);
      dying[position]!.push(operand);
    }
  }
  return dying;
}

/**
 * Positions of the nodes that the targets are computed from, the targets among them, ascending: operands come first.
 *
 * @param isGiven Nodes that are found rather than computed, so that their operands are not needed for them. Default:
 *   none.
 */
export function neededNodes(
  nodes: readonly GraphNode[],
  targets: Iterable<number>,
  isGiven: (node: GraphNode, id: number) => boolean = () => false,
): readonly number[] {
  const needed = new Set(targets);
  for (let id = nodes.length - 1; id >= 0; id--) {
    const node = nodes[id]!;
    if (!needed.has(id) || isGiven(node, id)) continue;
    for (const operand of operandsOf(node)) needed.add(operand);
  }
  return [...needed].sort((a, b) => a - b);
}

/** The graph of these outputs: the nodes that they are computed from, in the same order, and no others. */
export function prunedGraph(
  nodes: readonly GraphNode[],
  outputs: readonly (readonly [name: string, GraphOutput])[],
): Graph {
  const needed = neededNodes(
    nodes,
    outputs.map(([, { node }]) => node),
  );
  const position = new Map(needed.map((id, index) => [id, index]));
  const place = (id: number): number => position.get(id)!;
  return {
    nodes: needed.map(id => withOperands(nodes[id]!, place)),
    outputs: Object.fromEntries(outputs.map(([name, { node, extent }]) => [name, { node: place(node), extent }])),
  };
}
