import { type Graph, type GraphNode, operandsOf } from '@frugaljs/core';

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
  const needed = neededNodes(graph);
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

/** Positions of the nodes that the outputs are made of. */
function neededNodes(graph: Graph): ReadonlySet<number> {
  const needed = new Set<number>();
  const visit = (id: number): void => {
    if (needed.has(id)) return;
    needed.add(id);
    for (const operand of operandsOf(graph.nodes[id]!)) visit(operand);
  };
  for (const { node } of Object.values(graph.outputs)) visit(node);
  return needed;
}
