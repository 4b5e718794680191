import { type Graph, type GraphNode, type GraphOutput, operandsOf, withOperands } from './graph.js';

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
