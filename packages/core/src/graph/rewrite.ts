import { InvalidExpressionError } from '../errors.js';
import { blockSize, type Extent } from '../slots.js';
import {
  describeExtent,
  type Graph,
  type GraphNode,
  type NodeExtent,
  prunedGraph,
  type Reduction,
  withOperands,
  written,
} from './graph.js';
import { broadcastsTo, type Operand, type Per, select, type Tracer, type Value } from './tracer.js';

/**
 * Writes the operations of a graph down again in a tracer, with other values in the place of its inputs. So the outputs
 * of one graph become the inputs of the next, and a rule, a combine and the parameter update become one graph, in which
 * what they share is computed once and what nobody reads is left out:
 *
 * ```
 * const rule = inlineGraph(tracer, ruleGraph, { g }, 'rule/');
 * const whole = inlineGraph(tracer, combineGraph, { g, lifted: rule.direction, residual: 0, residualDirection: 0 });
 * const next = parameter.sub(whole.direction.mul(learningRate));
 * tracer.graph({ parameter: next, 'rule/m': rule.m }, { parameter: 'element', 'rule/m': 'element' });
 * ```
 *
 * @param bindings Values or numbers for inputs and scalars of the graph, by name; names it does not read are ignored. A
 *   binding with fewer entries than its input stands for their broadcast, and what follows from it alone is computed on
 *   the fewer entries, too.
 * @param prefix Inputs and scalars without a binding become inputs and scalars of the tracer, with this before their
 *   names.
 * @returns The outputs of the graph by name; one that has fewer values than its extent is not broadcast yet.
 * @throws InvalidExpressionError when a binding is not of this tracer, has more values than its input or scalar, or is
 *   summed as the broadcast that it stands for, whose size a graph does not know.
 */
export function inlineGraph(
  tracer: Tracer,
  graph: Graph,
  bindings: Readonly<Record<string, Operand>>,
  prefix = '',
): Record<string, Value> {
  const values: Value[] = [];
  for (const node of graph.nodes) {
    values.push(
      node.op === 'input' || node.op === 'scalar'
        ? inlineLeaf(tracer, node, bindings, prefix)
        : inlineOperation(tracer, graph, node, values),
    );
  }
  return Object.fromEntries(Object.entries(graph.outputs).map(([name, { node }]) => [name, values[node]!]));
}

function inlineLeaf(
  tracer: Tracer,
  node: GraphNode & { op: 'input' | 'scalar' },
  bindings: Readonly<Record<string, Operand>>,
  prefix: string,
): Value {
  const { name, extent } = node;
  if (!Object.hasOwn(bindings, name)) {
    return node.op === 'scalar' ? tracer.scalar(prefix + name) : tracer.input(prefix + name, node.extent);
  }
  const value = tracer.operand(bindings[name]!, name);
  if (broadcastsTo(value.extent, extent)) return value;
  throw new InvalidExpressionError({
    parameter: name,
    found: describeExtent(value.extent),
    expected: extent === 'host' ? 'a number' : `at most ${describeExtent(extent)}`,
  });
}

function inlineOperation(
  tracer: Tracer,
  graph: Graph,
  node: Exclude<GraphNode, { op: 'input' | 'scalar' }>,
  values: readonly Value[],
): Value {
  switch (node.op) {
    case 'constant':
      return tracer.constant(node.value);
    case 'select':
      return select(values[node.condition]!, values[node.x]!, values[node.y]!);
    case 'reduce': {
      const x = values[node.x]!;
      const per = node.extent as Exclude<Extent, 'element'>;
      const from = graph.nodes[node.x]!.extent;
      return x.extent === from ? x[node.reduction](per) : reduceBroadcast(tracer, node.reduction, per, x, from);
    }
    default:
      return 'y' in node ? values[node.x]![node.op](values[node.y]!) : values[node.x]![node.op]();
  }
}

/**
 * Reduces the broadcast of `x` to a wider extent, of which only a sum depends on the size. So does a mean with blocks, of
 * which the last of a row may lack entries.
 *
 * @param from The wider extent.
 */
function reduceBroadcast(
  tracer: Tracer,
  reduction: Reduction,
  per: Exclude<Extent, 'element'>,
  x: Value,
  from: NodeExtent,
): Value {
  // Every column of a per-row value is the same, and every row of a per-column one.
  const isAcross = (x.extent === 'row' && per === 'column') || (x.extent === 'column' && per === 'row');
  if (isAcross) return x[reduction]('tensor');
  const ofBlocks = from === 'element' && blockSize(x.extent) !== null;
  const isSum = reduction === 'sum' || (reduction === 'mean' && (blockSize(per) !== null || ofBlocks));
  if (x === tracer.constant(0)) return x;
  if (!isSum && broadcastsTo(x.extent, per)) return x;
  if (!isSum && isReducible(x.extent, per)) return x[reduction](per);
  throw new InvalidExpressionError({
    parameter: `${reduction}(${written(per)})`,
    found: describeExtent(x.extent),
    expected: 'one value per entry of the sum',
    advice: 'Bind the input to a value of its own extent, or write the rule with a mean.',
  });
}

/** Whether values of an extent are put together, each once, in those of another. */
function isReducible(from: NodeExtent, per: Per): boolean {
  return from !== 'host' && (from === 'element' || per === 'tensor' || (per === 'row' && blockSize(from) !== null));
}

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
