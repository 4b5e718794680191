import { type Graph, type GraphNode, neededNodes, operandsOf } from '@frugaljs/core';

/** Operations that the emitter does not have. */
const MISSING: readonly string[] = ['exp', 'log'];

/** Why the emitter cannot turn a graph into a kernel; `null` when it can. */
export function refusalOf(graph: Graph): string | null {
  const missing = graph.nodes.find(node => MISSING.includes(node.op));
  return missing === undefined ? null : `no fused ${missing.op}`;
}

/**
 * How many reductions lie below each node: a value of stage s can be computed once the reductions of stages 1 … s are
 * known. Every stage but the last is one pass over the inputs; the last one writes.
 */
export function stagesOf(graph: Graph): readonly number[] {
  const stages: number[] = [];
  for (const node of graph.nodes) {
    const below = operandsOf(node).reduce((stage, operand) => Math.max(stage, stages[operand]!), 0);
    stages.push(below + (node.op === 'reduce' ? 1 : 0));
  }
  return stages;
}

/** The nodes whose values are needed to compute the given ones, given that reductions and host values are known. */
export function neededFor(graph: Graph, targets: readonly number[]): readonly number[] {
  return neededNodes(graph.nodes, targets, isGiven);
}

/** Values that a pass finds rather than computes. */
export function isGiven(node: GraphNode): boolean {
  return node.op === 'input' || node.op === 'reduce' || node.extent === 'host';
}
