import type { Extent } from '../slots.js';

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
  return extent === 'host' ? 'a number' : `one value per ${extent}`;
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
 * many values each node has: one per element, row, column or tensor, or a number on the host.
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

/** True when some value has one entry per row or per column, so that operands must be laid out as matrices. */
export function needsMatrixView(graph: Graph): boolean {
  return graph.nodes.some(node => node.extent === 'row' || node.extent === 'column');
}
