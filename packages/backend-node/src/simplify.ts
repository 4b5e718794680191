import { type Graph, type GraphNode, operandsOf } from '@frugaljs/core';

/**
 * The same graph without operations that change nothing (x + 0, x - 0, x · 1, x / 1, with a constant), which is what
 * remains of combines with a part missing, and without nodes that no output depends on.
 */
export function simplify(graph: Graph): Graph {
  // Which node has the value of each; operands come first, so theirs are known.
  const same: number[] = [];
  graph.nodes.forEach((node, id) => {
    same.push(passedOn(graph, node, same) ?? id);
  });

  const needed = new Set<number>();
  const need = (id: number): void => void needed.add(same[id]!);
  for (const { node } of Object.values(graph.outputs)) need(node);
  for (let id = graph.nodes.length - 1; id >= 0; id--) {
    if (needed.has(id)) operandsOf(graph.nodes[id]!).forEach(need);
  }

  const places = new Map<number, number>();
  const nodes: GraphNode[] = [];
  graph.nodes.forEach((node, id) => {
    if (!needed.has(id)) return;
    places.set(id, nodes.length);
    nodes.push(moved(node, operand => places.get(same[operand]!)!));
  });
  const outputs = Object.fromEntries(
    Object.entries(graph.outputs).map(([name, { node, extent }]) => [name, { node: places.get(same[node]!)!, extent }]),
  );
  return { nodes, outputs };
}

/** The operand that an operation passes on as it is; `null` when it computes something. */
function passedOn(graph: Graph, node: GraphNode, same: readonly number[]): number | null {
  if (node.extent === 'host') return null;
  const is = (id: number, value: number): boolean => {
    const operand = graph.nodes[id]!;
    return operand.op === 'constant' && operand.value === value;
  };
  switch (node.op) {
    case 'add':
      return is(node.y, 0) ? same[node.x]! : is(node.x, 0) ? same[node.y]! : null;
    case 'sub':
      return is(node.y, 0) ? same[node.x]! : null;
    case 'mul':
      return is(node.y, 1) ? same[node.x]! : is(node.x, 1) ? same[node.y]! : null;
    case 'div':
      return is(node.y, 1) ? same[node.x]! : null;
    default:
      return null;
  }
}

function moved(node: GraphNode, to: (id: number) => number): GraphNode {
  switch (node.op) {
    case 'input':
    case 'scalar':
    case 'constant':
      return node;
    case 'select':
      return { ...node, condition: to(node.condition), x: to(node.x), y: to(node.y) };
    default:
      return 'y' in node ? { ...node, x: to(node.x), y: to(node.y) } : { ...node, x: to(node.x) };
  }
}
