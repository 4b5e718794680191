import { type Graph, operandsOf } from './graph.js';

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
