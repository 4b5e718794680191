import {
  abs,
  add,
  cast,
  clone,
  div,
  equal,
  exp,
  fill,
  greater,
  greaterEqual,
  isNaN as isNaNTensor,
  less,
  lessEqual,
  log,
  max,
  maximum,
  mean,
  min,
  minimum,
  mul,
  neg,
  notEqual,
  pad,
  reciprocal,
  reshape,
  scalar,
  slice,
  sqrt,
  square,
  sub,
  sum,
  type Tensor,
  tidy,
  tile,
  where,
  zeros,
} from '@tensorflow/tfjs-core';
import { ShapeMismatchError, UnknownNameError } from '../errors.js';
import { blockSize, type Extent, matrixView, type Shape, sameShape, sizeOf, slotShape } from '../slots.js';
import {
  type BinaryOperation,
  describeExtent,
  type Graph,
  type GraphNode,
  HOST_BINARY,
  HOST_UNARY,
  hostValues,
  lastReads,
  type NodeExtent,
  needsMatrixView,
  type Reduction,
  type UnaryOperation,
} from './graph.js';

/**
 * A node's value while a graph is interpreted: a tensor that broadcasts to the node's shape, or a number that stands for
 * equal entries. Numbers are float64 in host nodes and rounded to float32 in all others, as their entries would be.
 */
type Computed = number | Tensor;

/** What a node is evaluated with. */
interface Evaluation {
  readonly graph: Graph;
  readonly inputs: Readonly<Record<string, Computed>>;
  readonly shape: Shape;
  /** Shape in which element-wise values are computed: `shape`, or its matrix view. */
  readonly layout: Shape;
  /** By node position; filled on the way. */
  readonly values: (Computed | undefined)[];
}

/**
 * Runs a graph with tfjs-core operations: the reference that every fused kernel is compared with, and correct on every
 * tfjs backend. Intermediate tensors are freed after their last use.
 *
 * @param inputs The tensors the graph names, each in the shape {@link slotShape} gives for its extent; a number stands
 *   for a tensor filled with it.
 * @param scalars The per-step numbers the graph names.
 * @param shape Shape of the element-wise values; no dimension may be 0.
 * @returns One tensor per output, owned by the caller. No input is changed or returned itself.
 * @throws UnknownNameError when an input or scalar is missing.
 * @throws ShapeMismatchError when an input has another shape than its extent asks for.
 */
export function interpret(
  graph: Graph,
  inputs: Readonly<Record<string, Computed>>,
  scalars: Readonly<Record<string, number>>,
  shape: Shape,
): Record<string, Tensor> {
  const { asMatrix, dying } = prepare(graph);
  return tidy(() => {
    const layout: Shape = asMatrix ? matrixView(shape) : shape;
    const values: (Computed | undefined)[] = hostValues(graph, scalars);
    const evaluation: Evaluation = { graph, inputs, shape, layout, values };
    graph.nodes.forEach((node, position) => {
      if (node.extent !== 'host') values[position] = tidy(() => asFloat32(evaluate(node, evaluation)));
      for (const dead of dying[position]!) free(graph.nodes[dead]!, values[dead]!);
    });
    const results: Record<string, Tensor> = {};
    for (const [name, { node, extent }] of Object.entries(graph.outputs)) {
      const stored = [...slotShape(extent, shape)];
      const wide = spread(values[node]!, graph.nodes[node]!.extent, extent, layout);
      results[name] =
        typeof wide === 'number' ? fill(stored, wide) : reshape(broadcast(wide, slotShape(extent, layout)), stored);
    }
    return results;
  });
}

/** What is the same whenever a graph is interpreted. */
interface Prepared {
  readonly asMatrix: boolean;
  /** For each node those that nothing after it reads. */
  readonly dying: readonly (readonly number[])[];
}

const preparedGraphs = new WeakMap<Graph, Prepared>();

function prepare(graph: Graph): Prepared {
  let prepared = preparedGraphs.get(graph);
  if (prepared === undefined) {
    prepared = { asMatrix: needsMatrixView(graph), dying: lastReads(graph) };
    preparedGraphs.set(graph, prepared);
  }
  return prepared;
}

function evaluate(node: Exclude<GraphNode, { op: 'scalar' | 'constant' }>, evaluation: Evaluation): Computed {
  const { graph, layout, values } = evaluation;
  const operand = (id: number): Computed => spread(values[id]!, graph.nodes[id]!.extent, node.extent, layout);
  switch (node.op) {
    case 'input':
      return inputValue(node.name, node.extent, evaluation);
    case 'select':
      return evaluateSelect(operand(node.condition), operand(node.x), operand(node.y));
    case 'reduce':
      return evaluateReduction(node, values[node.x]!, slotShape(graph.nodes[node.x]!.extent as Extent, layout));
    default:
      return 'y' in node
        ? evaluateBinary(node.op, operand(node.x), operand(node.y))
        : evaluateUnary(node.op, values[node.x]!);
  }
}

function inputValue(name: string, extent: Extent, { inputs, shape, layout }: Evaluation): Computed {
  const input = inputs[name];
  if (input === undefined) {
    throw new UnknownNameError({
      parameter: `inputs.${name}`,
      found: `inputs ${Object.keys(inputs).join(', ') || '(none)'}`,
      expected: 'a tensor or a number for every input that the graph reads',
    });
  }
  if (typeof input === 'number') return input;
  const expected = slotShape(extent, shape);
  if (!sameShape(input.shape, expected)) {
    throw new ShapeMismatchError({
      parameter: `inputs.${name}`,
      found: input.shape,
      expected: `shape [${expected}], ${describeExtent(extent)} of [${shape}]`,
    });
  }
  return extent !== 'element' || layout === shape ? input : reshape(input, [...layout]);
}

function evaluateUnary(op: UnaryOperation, x: Computed): Computed {
  return typeof x === 'number' ? HOST_UNARY[op](x) : DEVICE_UNARY[op](x);
}

function evaluateBinary(op: BinaryOperation, x: Computed, y: Computed): Computed {
  // One of two numbers may come from the host, and would be rounded beside a tensor.
  if (typeof x === 'number' && typeof y === 'number') return HOST_BINARY[op](Math.fround(x), Math.fround(y));
  return DEVICE_BINARY[op](onDevice(x), onDevice(y));
}

function evaluateSelect(condition: Computed, x: Computed, y: Computed): Computed {
  if (typeof condition === 'number') {
    const chosen = condition !== 0 ? x : y;
    return typeof chosen === 'number' ? chosen : clone(chosen);
  }
  return where(notEqual(condition, scalar(0)), onDevice(x), onDevice(y));
}

function evaluateReduction(
  { reduction, extent: per }: GraphNode & { op: 'reduce' },
  x: Computed,
  shape: Shape,
): Computed {
  const size = blockSize(per);
  if (size !== null) return evaluateBlocks(reduction, size, x, shape);
  if (typeof x === 'number') return x * (reduction === 'sum' ? entriesPer(per, shape) : 1);
  const whole = broadcast(x, shape);
  const reduce = DEVICE_REDUCTION[reduction];
  if (per === 'row') return reduce(whole, 1, true);
  if (per === 'column') return reduce(whole, 0, true);
  return reduce(whole);
}

/** Fills up the last block of each row and reduces each: with what changes nothing, and zeros for a mean. */
function evaluateBlocks(reduction: Reduction, size: number, x: Computed, shape: Shape): Computed {
  const [rows, columns] = matrixView(shape);
  const blocks = Math.ceil(columns / size);
  const missing = blocks * size - columns;
  if (typeof x === 'number' && (missing === 0 || IDENTITY[reduction] !== 0)) {
    return reduction === 'sum' ? x * size : x;
  }
  const whole = typeof x === 'number' ? fill([...shape], x) : broadcast(x, shape);
  // A block may be far longer than a row.
  if (blocks === 1)
    return reduction === 'mean' ? div(sum(whole, 1, true), size) : DEVICE_REDUCTION[reduction](whole, 1, true);
  const full =
    missing === 0
      ? whole
      : pad(
          whole,
          [
            [0, 0],
            [0, missing],
          ],
          IDENTITY[reduction],
        );
  return DEVICE_REDUCTION[reduction](reshape(full, [rows, blocks, size]), 2);
}

/** What a reduction may meet more often without another result. */
const IDENTITY: Readonly<Record<Reduction, number>> = {
  sum: 0,
  mean: 0,
  max: Number.NEGATIVE_INFINITY,
  min: Number.POSITIVE_INFINITY,
};

/** Repeats a value per block for every column of its block, where it meets values per element. Others broadcast. */
function spread(x: Computed, from: NodeExtent, to: NodeExtent, layout: Shape): Computed {
  const size = blockSize(from);
  if (size === null || from === to || typeof x === 'number') return x;
  const [rows, columns] = matrixView(layout);
  const blocks = Math.ceil(columns / size);
  // One that is the same for all blocks of a row broadcasts as it is.
  if (x.rank < 2 || blocks === 1) return x;
  if (x.shape[1] === 1) return x;
  const repeated = reshape(tile(reshape(x, [rows, blocks, 1]), [1, 1, size]), [rows, blocks * size]);
  return blocks * size === columns ? repeated : slice(repeated, [0, 0], [rows, columns]);
}

/** How many entries of a tensor go into one row, one column or the whole. */
function entriesPer(per: Extent, shape: Shape): number {
  return sizeOf(shape) / sizeOf(slotShape(per, shape));
}

/** A value may be narrower than its node, for example where a number stands for an input. */
function broadcast(x: Tensor, shape: Shape): Tensor {
  return sameShape(x.shape, shape) ? x : add(zeros([...shape]), x);
}

function asFloat32(x: Computed): Computed {
  return typeof x === 'number' ? Math.fround(x) : x;
}

function onDevice(x: Computed): Tensor {
  return typeof x === 'number' ? scalar(x) : x;
}

/** Inputs belong to the caller. */
function free(node: GraphNode, value: Computed): void {
  if (node.op !== 'input' && typeof value !== 'number') value.dispose();
}

/** The one-operand operations as tfjs operations. */
const DEVICE_UNARY: Readonly<Record<UnaryOperation, (x: Tensor) => Tensor>> = {
  neg,
  abs,
  sqrt,
  square,
  sign: signOf,
  exp,
  log,
  reciprocal,
};

/** The two-operand operations as tfjs operations. */
const DEVICE_BINARY: Readonly<Record<BinaryOperation, (x: Tensor, y: Tensor) => Tensor>> = {
  add,
  sub,
  mul,
  div,
  maximum: (x, y) => keepingNaN(maximum, x, y),
  minimum: (x, y) => keepingNaN(minimum, x, y),
  greater: (x, y) => cast(greater(x, y), 'float32'),
  greaterEqual: (x, y) => cast(greaterEqual(x, y), 'float32'),
  less: (x, y) => cast(less(x, y), 'float32'),
  lessEqual: (x, y) => cast(lessEqual(x, y), 'float32'),
  equal: (x, y) => cast(equal(x, y), 'float32'),
};

/** The reductions as tfjs operations; without an axis, of all entries. */
const DEVICE_REDUCTION: Readonly<Record<Reduction, (x: Tensor, axis?: number, keepDimensions?: boolean) => Tensor>> = {
  sum,
  mean,
  max,
  min,
};

/**
 * tfjs's own sign is no use here: the wasm kernel gives 0 for all |x| < 1.2e-7, where gradients live, and several
 * backends give 0 for NaN, which would hide a NaN gradient in a state-free step.
 */
function signOf(x: Tensor): Tensor {
  const zero = scalar(0);
  return where(isNaNTensor(x), x, sub(cast(greater(x, zero), 'float32'), cast(less(x, zero), 'float32')));
}

/** The wasm kernels of maximum and minimum give the first operand when the second is NaN. */
function keepingNaN(extremum: (x: Tensor, y: Tensor) => Tensor, x: Tensor, y: Tensor): Tensor {
  const [first, second] = x.size <= y.size ? [x, y] : [y, x];
  return where(isNaNTensor(second), second, extremum(first, second));
}
