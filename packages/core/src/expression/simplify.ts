import { type Graph, type GraphNode, withOperands } from './graph.js';
import { prunedGraph } from './pruned-graph.js';

/**
 * The same graph without operations that change nothing (x + 0, x - 0, x · 1 and x / 1, with a constant) and without
 * nodes that no output depends on. Combines leave some, where one of the directions that they mix is absent; kernels
 * would compute them for every entry.
 *
 * Inputs, scalars, outputs and extents stay as they are, but for inputs and scalars that nothing reads any more. An
 * output may become an input itself. Values are bit for bit those of the given graph, NaN and infinities among them, but
 * for the sign of a zero: -0 + 0 is 0, and its stand-in is -0. So a result may differ where the graph divides by a zero.
 */
export function simplify(graph: Graph): Graph {
  const stands = standIns(graph.nodes);
  const standIn = (id: number): number => stands[id]!;
  return prunedGraph(
    graph.nodes.map(node => withOperands(node, standIn)),
    Object.entries(graph.outputs).map(([name, { node, extent }]) => [name, { node: standIn(node), extent }]),
  );
}

/** For each node the earliest one that has its value. */
function standIns(nodes: readonly GraphNode[]): readonly number[] {
  const stands: number[] = [];
  for (const [id, node] of nodes.entries()) {
    const same = unchangedOperand(nodes, node);
    stands.push(same === null ? id : stands[same]!);
  }
  return stands;
}

/** The operand that an operation hands on as it is; null when it makes something of its operands. */
function unchangedOperand(nodes: readonly GraphNode[], node: GraphNode): number | null {
  // What the host computes costs a kernel nothing.
  if (node.extent === 'host') return null;
  const isConstant = (id: number, value: number): boolean => {
    const operand = nodes[id]!;
    return operand.op === 'constant' && operand.value === value;
  };
  switch (node.op) {
    case 'add':
      return isConstant(node.y, 0) ? node.x : isConstant(node.x, 0) ? node.y : null;
    case 'sub':
      return isConstant(node.y, 0) ? node.x : null;
    case 'mul':
      return isConstant(node.y, 1) ? node.x : isConstant(node.x, 1) ? node.y : null;
    case 'div':
      return isConstant(node.y, 1) ? node.x : null;
    default:
      return null;
  }
}
