import { type Graph, type GraphNode, type GraphOutput, operandsOf } from '@frugaljs/core';

/**
 * The same graph without operations that change nothing (x · 1, x / 1, x + 0, x - 0) and without those that nobody
 * reads. Combines leave some of them, where one of the directions that they mix is absent. Values are the same, but for
 * the sign of a zero.
 */
export function simplify(graph: Graph): Graph {
  const stands = standIns(graph);
  const kept = keptNodes(graph, stands);
  const position = new Map(kept.map((id, i) => [id, i]));
  const place = (id: number): number => position.get(stands[id]!)!;
  const nodes = kept.map((id): GraphNode => {
    const node = graph.nodes[id]!;
    switch (node.op) {
      case 'input':
      case 'scalar':
      case 'constant':
        return node;
      case 'select':
        return { ...node, condition: place(node.condition), x: place(node.x), y: place(node.y) };
      default:
        return 'y' in node ? { ...node, x: place(node.x), y: place(node.y) } : { ...node, x: place(node.x) };
    }
  });
  const outputs = Object.entries(graph.outputs).map(([name, { node, extent }]): [string, GraphOutput] => [
    name,
    { node: place(node), extent },
  ]);
  return { nodes, outputs: Object.fromEntries(outputs) };
}

/** For each node the earliest one of the same value. */
function standIns(graph: Graph): readonly number[] {
  const stands: number[] = [];
  graph.nodes.forEach((node, id) => {
    const same = unchangedOperand(graph, node);
    stands.push(same === null ? id : stands[same]!);
  });
  return stands;
}

/** The operand that an operation hands on as it is; null when it makes something of its operands. */
function unchangedOperand(graph: Graph, node: GraphNode): number | null {
  if (!('y' in node) || node.op === 'select' || node.extent === 'host') return null;
  const isConstant = (id: number, value: number): boolean => {
    const operand = graph.nodes[id]!;
    return operand.op === 'constant' && Object.is(operand.value, value);
  };
  const isNeutral = (id: number): boolean => isConstant(id, node.op === 'mul' || node.op === 'div' ? 1 : 0);
  switch (node.op) {
    case 'add':
    case 'mul':
      return isNeutral(node.y) ? node.x : isNeutral(node.x) ? node.y : null;
    case 'sub':
    case 'div':
      return isNeutral(node.y) ? node.x : null;
    default:
      return null;
  }
}

/** Positions of the nodes that the outputs are made of, ascending. */
function keptNodes(graph: Graph, stands: readonly number[]): readonly number[] {
  const kept = new Set<number>();
  const visit = (id: number): void => {
    const found = stands[id]!;
    if (kept.has(found)) return;
    kept.add(found);
    const node = graph.nodes[found]!;
    for (const operand of operandsOf(node)) visit(operand);
  };
  for (const { node } of Object.values(graph.outputs)) visit(node);
  return [...kept].sort((a, b) => a - b);
}
