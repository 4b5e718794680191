import {
  add,
  matMul,
  mul,
  reshape,
  softmax,
  sub,
  sum,
  type Tensor,
  type Tensor2D,
  type Tensor3D,
  type Tensor4D,
} from '@tensorflow/tfjs-core';
import { differentiable } from './differentiable.js';

// A finite stand-in for -∞: exp gives 0 all the same, and no backend has to handle infinities.
const FORBIDDEN = -1e9;

/** The additive mask of causal attention, `[length, length]`: 0 on and below the diagonal, a huge negative above. */
export function causalMask(length: number): Float32Array {
  const mask = new Float32Array(length * length);
  for (let row = 0; row < length; row++) mask.fill(FORBIDDEN, row * length + row + 1, (row + 1) * length);
  return mask;
}

/**
 * Causal scaled dot-product attention, `softmax(q kᵀ + mask) v` per head, with grouped queries (Ainslie et al. 2023):
 * query head `h` uses key and value head `⌊h / group⌋`. The queries of a group are stacked as rows of one matrix, so
 * keys and values are never repeated.
 *
 * Kept for the backward pass: q, k, v and the probabilities.
 *
 * @param q `[batch, heads, length, headDim]`, already divided by `√headDim`
 * @param k `[batch, keyValueHeads, length, headDim]`
 * @param v `[batch, keyValueHeads, length, headDim]`
 * @param mask `[length, length]`
 * @returns `[batch, heads, length, headDim]`
 */
export function causalAttention(q: Tensor4D, k: Tensor4D, v: Tensor4D, mask: Tensor2D): Tensor4D {
  return differentiable<Tensor4D>([q, k, v], save => {
    const [batch, heads, length, headDim] = q.shape;
    const groups = batch * k.shape[1];
    const queries = reshape(q, [groups, -1, headDim]);
    const keys = reshape(k, [groups, length, headDim]);
    const values = reshape(v, [groups, length, headDim]);

    const scores: Tensor3D = reshape(matMul(queries, keys, false, true), [batch * heads, length, length]);
    const probabilities = reshape(softmax(add(scores, mask)), [groups, -1, length]) as Tensor3D;
    const value: Tensor4D = reshape(matMul(probabilities, values), q.shape);
    save([queries, keys, values, probabilities]);
    return {
      value,
      gradient: (dy, saved) => {
        const [dq, dk, dv] = attentionGradient(reshape(dy, [groups, -1, headDim]), saved);
        return [reshape(dq, q.shape), reshape(dk, k.shape), reshape(dv, v.shape)];
      },
    };
  });
}

function attentionGradient(dy: Tensor3D, saved: Tensor[]): [dq: Tensor, dk: Tensor, dv: Tensor] {
  const [queries, keys, values, probabilities] = saved as [Tensor3D, Tensor3D, Tensor3D, Tensor3D];
  const dv = matMul(probabilities, dy, true, false);
  const weighted = mul(matMul(dy, values, false, true), probabilities);
  const dScores = sub(weighted, mul(probabilities, sum(weighted, -1, true))) as Tensor3D;
  return [matMul(dScores, keys), matMul(dScores, queries, true, false), dv];
}
