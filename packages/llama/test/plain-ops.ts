// The operations of the model written with differentiable tfjs ops and nothing else: what the fused ones must equal.
import {
  add,
  cast,
  concat,
  logSoftmax,
  matMul,
  mean,
  mul,
  neg,
  oneHot,
  reshape,
  rsqrt,
  type Scalar,
  sigmoid,
  slice,
  softmax,
  square,
  stack,
  sum,
  type Tensor,
  type Tensor1D,
  type Tensor2D,
  type Tensor4D,
} from '@tensorflow/tfjs-core';

export function plainRmsNorm(x: Tensor2D, weight: Tensor1D, epsilon: number): Tensor2D {
  return mul(mul(x, rsqrt(add(mean(square(x), -1, true), epsilon))), weight) as Tensor2D;
}

export function plainSwiglu(gate: Tensor2D, up: Tensor2D): Tensor2D {
  return mul(mul(gate, sigmoid(gate)), up) as Tensor2D;
}

/** x ⊙ cos + rotateHalf(x) ⊙ sin, `rotateHalf(x) = [-x2, x1]`, with unsigned tables. */
export function plainRotate(x: Tensor4D, cosines: Tensor2D, sines: Tensor2D): Tensor4D {
  const half = x.shape[3] / 2;
  const first = slice(x, [0, 0, 0, 0], [-1, -1, -1, half]);
  const second = slice(x, [0, 0, 0, half], [-1, -1, -1, half]);
  return add(mul(x, cosines), mul(concat([neg(second), first], 3), sines));
}

/** Attention with keys and values repeated for every query head of their group. */
export function plainAttention(q: Tensor4D, k: Tensor4D, v: Tensor4D, mask: Tensor2D): Tensor4D {
  const [batch, heads, length, size] = q.shape;
  const group = heads / k.shape[1];
  const repeat = (x: Tensor4D): Tensor4D => reshape(stack(Array(group).fill(x), 2), [batch, heads, length, size]);
  const scores = add(matMul(q, repeat(k), false, true), mask);
  return matMul(softmax(scores), repeat(v)) as Tensor4D;
}

/** A row of the table per id, as a product with one-hot rows. */
export function plainEmbed(table: Tensor2D, ids: Tensor1D): Tensor2D {
  return matMul(indicator(ids, table.shape[0]), table);
}

// Cast, because the wasm backend writes the bits of an integer 1 when oneHot is asked for float32.
function indicator(ids: Tensor1D, depth: number): Tensor2D {
  return cast(oneHot(ids, depth), 'float32') as Tensor2D;
}

export function plainCrossEntropy(hidden: Tensor2D, weight: Tensor2D, targets: Tensor1D): Scalar {
  const chosen = indicator(targets, weight.shape[0]);
  return neg(mean(sum(mul(chosen, logSoftmax(matMul(hidden, weight, false, true) as Tensor)), -1))) as Scalar;
}
