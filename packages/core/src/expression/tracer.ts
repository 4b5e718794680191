import { InvalidExpressionError } from '../errors.js';
import type { Extent } from '../slots.js';
import { describeExtent, type Graph, type GraphNode, type NodeExtent, operandsOf } from './graph.js';
import { hostOperation } from './host-operations.js';
import { prunedGraph } from './pruned-graph.js';
import { joinExtents, type Operand, type Recording, Value } from './value.js';

/**
 * Records the operations on symbolic values. Equal operations on equal operands become one node, so a subexpression
 * that is written twice is computed once; operations on constants alone become a constant.
 */
export class Tracer implements Recording {
  private readonly nodes: GraphNode[] = [];
  private readonly known = new Map<string, Value>();
  private readonly extents = new Map<string, NodeExtent>();

  /** A tensor that is given at every step; the same name is the same tensor. */
  input(name: string, extent: Extent): Value {
    this.claim(name, extent);
    return this.emit({ op: 'input', name, extent });
  }

  /** A number that the host computes in float64 at every step; the same name is the same number. */
  scalar(name: string): Value {
    this.claim(name, 'host');
    return this.emit({ op: 'scalar', name, extent: 'host' });
  }

  /** A number that never changes. */
  constant(value: number): Value {
    return this.emit({ op: 'constant', value, extent: 'host' });
  }

  /** @internal */
  operand(operand: Operand, op: string): Value {
    if (typeof operand === 'number') return this.constant(operand);
    if (!(operand instanceof Value) || operand.tracer !== this) {
      throw new InvalidExpressionError({
        parameter: op,
        found: operand instanceof Value ? 'a value of another step' : operand,
        expected: 'a number or a value of the same step',
        advice: 'Inside `step`, compute with the arguments of that call only, not with tensors or kept values.',
      });
    }
    return operand;
  }

  /** One name stands for one thing: a graph is run with its inputs and scalars by name. */
  private claim(name: string, extent: NodeExtent): void {
    const claimed = this.extents.get(name) ?? extent;
    if (claimed !== extent) {
      throw new InvalidExpressionError({
        parameter: name,
        found: describeExtent(extent),
        expected: `${describeExtent(claimed)}, as where the name was first used`,
      });
    }
    this.extents.set(name, extent);
  }

  /** @internal */
  emit(operation: GraphNode): Value {
    const node = this.folded(operation);
    const key = keyOf(node);
    const existing = this.known.get(key);
    if (existing !== undefined) return existing;
    const value = new Value(this, this.nodes.push(node) - 1, node.extent);
    this.known.set(key, value);
    return value;
  }

  /** What constants alone determine is a constant. */
  private folded(node: GraphNode): GraphNode {
    if (node.extent !== 'host' || node.op === 'constant' || node.op === 'scalar') return node;
    const constants = new Map<number, number>();
    for (const id of operandsOf(node)) {
      const operand = this.nodes[id]!;
      if (operand.op !== 'constant') return node;
      constants.set(id, operand.value);
    }
    return { op: 'constant', value: hostOperation(node, id => constants.get(id)!), extent: 'host' };
  }

  /**
   * The graph that computes the outputs; operations that no output needs are left out.
   *
   * @param extents The extent each output is wanted in; a narrower result is broadcast to it.
   * @throws InvalidExpressionError when a result has more values than its output.
   */
  graph<K extends string>(outputs: Readonly<Record<K, Operand>>, extents: Readonly<Record<K, Extent>>): Graph {
    const results = Object.entries<Operand>(outputs).map(([name, operand]) => {
      const value = this.operand(operand, name);
      const extent = extents[name as K];
      if (joinExtents(value.extent, extent) !== extent) {
        throw new InvalidExpressionError({
          parameter: name,
          found: describeExtent(value.extent),
          expected: `at most one value per ${extent}`,
          advice: `Reduce it (mean('${extent}'), sum('${extent}') …) or declare the slot with extent '${value.extent}'.`,
        });
      }
      return [name, { node: value.id, extent }] as const;
    });
    return prunedGraph(this.nodes, results);
  }
}

/** Equal for equal operations; JSON alone would not tell -0 from 0 or NaN from Infinity. */
function keyOf(node: GraphNode): string {
  return node.op === 'constant' ? `constant ${Object.is(node.value, -0) ? '-0' : node.value}` : JSON.stringify(node);
}
