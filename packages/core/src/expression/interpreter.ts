import * as tf from '@tensorflow/tfjs-core';
import { matrixView, type Shape, sameShape, sizeOf } from '../shape.js';
import { type Extent, slotShape } from '../slots.js';
import {
  type BinaryOperation,
  type Graph,
  type GraphNode,
  needsMatrixView,
  type Reduction,
  type UnaryOperation,
} from './graph.js';

/** A node's value while a graph is interpreted: a number on the host or a tensor on the device. */
type Operand = number | tf.Tensor;

/**
 * Runs a graph with tfjs-core operations: the reference that every fused kernel is compared with, and correct on every
 * tfjs backend.
 *
 * @param inputs The tensors the graph names, each in the shape {@link slotShape} gives for its extent; a number stands
 *   for a tensor filled with it.
 * @param scalars The per-step numbers the graph names.
 * @param shape Shape of the element-wise values.
 * @returns One tensor per output, owned by the caller. No input is changed or returned itself.
 */
export function interpret(
  graph: Graph,
  inputs: Readonly<Record<string, Operand>>,
  scalars: Readonly<Record<string, number>>,
  shape: Shape,
): Record<string, tf.Tensor> {
  return tf.tidy(() => {
    const layout: Shape = needsMatrixView(graph) ? matrixView(shape) : shape;
    const values: Operand[] = [];
    for (const node of graph.nodes) values.push(evaluate(node, values, inputs, scalars, layout));
    const results: Record<string, tf.Tensor> = {};
    for (const [name, { node, extent }] of Object.entries(graph.outputs)) {
      results[name] = materialize(values[node]!, layout, slotShape(extent, shape));
    }
    return results;
  });
}

function evaluate(
  node: GraphNode,
  values: readonly Operand[],
  inputs: Readonly<Record<string, Operand>>,
  scalars: Readonly<Record<string, number>>,
  layout: Shape,
): Operand {
  switch (node.op) {
    case 'input': {
      const input = inputs[node.name]!;
      if (typeof input === 'number' || node.extent !== 'element' || sameShape(input.shape, layout)) return input;
      return tf.reshape(input, [...layout]);
    }
    case 'scalar':
      return scalars[node.name]!;
    case 'constant':
      return node.value;
    case 'select':
      return evaluateSelect(values[node.condition]!, values[node.x]!, values[node.y]!);
    case 'reduce':
      return evaluateReduction(node.reduction, node.extent as Extent, values[node.x]!, layout);
    default:
      return 'y' in node
        ? evaluateBinary(node.op, values[node.x]!, values[node.y]!)
        : evaluateUnary(node.op, values[node.x]!);
  }
}

const HOST_UNARY: Readonly<Record<UnaryOperation, (x: number) => number>> = {
  neg: x => -x,
  abs: Math.abs,
  sqrt: Math.sqrt,
  square: x => x * x,
  sign: x => (x === 0 ? 0 : Math.sign(x)),
  exp: Math.exp,
  log: Math.log,
  reciprocal: x => 1 / x,
};

const DEVICE_UNARY: Readonly<Record<UnaryOperation, (x: tf.Tensor) => tf.Tensor>> = {
  neg: tf.neg,
  abs: tf.abs,
  sqrt: tf.sqrt,
  square: tf.square,
  // The kernels of some backends give sign(NaN) = 0, which would hide a NaN gradient in a state-free step.
  sign: x => tf.where(tf.equal(x, x), tf.sign(x), x),
  exp: tf.exp,
  log: tf.log,
  reciprocal: tf.reciprocal,
};

const HOST_BINARY: Readonly<Record<BinaryOperation, (x: number, y: number) => number>> = {
  add: (x, y) => x + y,
  sub: (x, y) => x - y,
  mul: (x, y) => x * y,
  div: (x, y) => x / y,
  maximum: Math.max,
  minimum: Math.min,
  greater: (x, y) => Number(x > y),
  greaterEqual: (x, y) => Number(x >= y),
  less: (x, y) => Number(x < y),
  lessEqual: (x, y) => Number(x <= y),
  equal: (x, y) => Number(x === y),
};

const DEVICE_BINARY: Readonly<Record<BinaryOperation, (x: tf.Tensor, y: tf.Tensor) => tf.Tensor>> = {
  add: tf.add,
  sub: tf.sub,
  mul: tf.mul,
  div: tf.div,
  maximum: tf.maximum,
  minimum: tf.minimum,
  greater: (x, y) => tf.cast(tf.greater(x, y), 'float32'),
  greaterEqual: (x, y) => tf.cast(tf.greaterEqual(x, y), 'float32'),
  less: (x, y) => tf.cast(tf.less(x, y), 'float32'),
  lessEqual: (x, y) => tf.cast(tf.lessEqual(x, y), 'float32'),
  equal: (x, y) => tf.cast(tf.equal(x, y), 'float32'),
};

const DEVICE_REDUCTION: Readonly<Record<Reduction, (x: tf.Tensor, axis?: number, keepDims?: boolean) => tf.Tensor>> = {
  sum: tf.sum,
  mean: tf.mean,
  max: tf.max,
  min: tf.min,
};

function evaluateUnary(op: UnaryOperation, x: Operand): Operand {
  return typeof x === 'number' ? HOST_UNARY[op](x) : DEVICE_UNARY[op](x);
}

function evaluateBinary(op: BinaryOperation, x: Operand, y: Operand): Operand {
  if (typeof x === 'number' && typeof y === 'number') return HOST_BINARY[op](x, y);
  return DEVICE_BINARY[op](onDevice(x), onDevice(y));
}

function evaluateSelect(condition: Operand, x: Operand, y: Operand): Operand {
  if (typeof condition === 'number') return condition !== 0 ? x : y;
  return tf.where(tf.notEqual(condition, tf.scalar(0)), onDevice(x), onDevice(y));
}

function evaluateReduction(reduction: Reduction, per: Extent, x: Operand, layout: Shape): Operand {
  if (typeof x === 'number') return reduceFilled(reduction, per, x, layout);
  const reduce = DEVICE_REDUCTION[reduction];
  if (per === 'row') return reduce(x, 1, true);
  if (per === 'column') return reduce(x, 0, true);
  return reduce(x);
}

/** The reduction of a tensor filled with one number; only a sum depends on how many there are. */
function reduceFilled(reduction: Reduction, per: Extent, x: number, layout: Shape): number {
  if (reduction !== 'sum') return x;
  const [rows, columns] = matrixView(layout);
  return x * (per === 'row' ? columns : per === 'column' ? rows : rows * columns);
}

function onDevice(x: Operand): tf.Tensor {
  return typeof x === 'number' ? tf.scalar(x) : x;
}

function materialize(value: Operand, layout: Shape, target: Shape): tf.Tensor {
  if (typeof value === 'number') return tf.fill([...target], value);
  if (sameShape(value.shape, target)) return tf.clone(value);
  if (value.size === sizeOf(target)) return tf.reshape(value, [...target]);
  // Narrower than its output: in the matrix layout it broadcasts along the missing axes.
  return tf.reshape(tf.add(tf.zeros([...layout]), value), [...target]);
}
