import { type Graph, type GraphNode, neededNodes, operandsOf } from '@frugaljs/core';

/** A reduction and where its node is. */
export interface ReduceNode {
  readonly id: number;
  readonly node: GraphNode & { op: 'reduce' };
}

/**
 * The reductions of a graph in the order in which they can be computed: those of a stage need only the results of
 * earlier stages. Reductions that no output needs are left out.
 */
export function reductionStages(graph: Graph): readonly (readonly ReduceNode[])[] {
  const depth: number[] = [];
  const outputs = Object.values(graph.outputs).map(({ node }) => node);
  const needed = new Set(neededNodes(graph.nodes, outputs));
  const stages: ReduceNode[][] = [];
  graph.nodes.forEach((node, id) => {
    const below = operandsOf(node).reduce((most, operand) => Math.max(most, depth[operand]!), 0);
    depth.push(below + (node.op === 'reduce' ? 1 : 0));
    if (node.op !== 'reduce' || !needed.has(id)) return;
    while (stages.length <= below) stages.push([]);
    stages[below]!.push({ id, node });
  });
  return stages;
}
