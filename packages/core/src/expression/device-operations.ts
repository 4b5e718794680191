import {
  abs,
  add,
  cast,
  div,
  equal,
  exp,
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
  reciprocal,
  scalar,
  sqrt,
  square,
  sub,
  sum,
  type Tensor,
  where,
} from '@tensorflow/tfjs-core';
import type { BinaryOperation, Reduction, UnaryOperation } from './graph.js';

/** The one-operand operations as tfjs operations. */
export const DEVICE_UNARY: Readonly<Record<UnaryOperation, (x: Tensor) => Tensor>> = {
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
export const DEVICE_BINARY: Readonly<Record<BinaryOperation, (x: Tensor, y: Tensor) => Tensor>> = {
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
export const DEVICE_REDUCTION: Readonly<
  Record<Reduction, (x: Tensor, axis?: number, keepDimensions?: boolean) => Tensor>
> = { sum, mean, max, min };

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
