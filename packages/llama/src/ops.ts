import {
  add,
  concat,
  customGrad,
  dispose,
  div,
  engine,
  exp,
  type GradSaveFunc,
  gather,
  log,
  matMul,
  max,
  mean,
  mul,
  reshape,
  rsqrt,
  type Scalar,
  scatterND,
  sigmoid,
  slice,
  softmax,
  square,
  sub,
  sum,
  type Tensor,
  type Tensor1D,
  type Tensor2D,
  type Tensor3D,
  type Tensor4D,
  tidy,
  Variable,
} from '@tensorflow/tfjs-core';
import type { RopeScaling } from './config.js';

// The operations of the model, in the order in which a forward pass comes to them. Each is one op of the gradient tape,
// and keeps for the backward pass only what its gradient needs.

/** The value of an op and, for a gradient `dy` of its value, the gradients of its inputs, in their order. */
export interface Differentiable<O extends Tensor> {
  readonly value: O;
  readonly gradient: (dy: O, saved: Tensor[]) => Tensor[];
}

/**
 * Runs `forward` as one op of the tape. What `forward` makes is freed when it returns, except its value and what it
 * hands to `save`; composed ops would keep every intermediate until the whole backward pass is over.
 *
 * @param inputs The tensors to differentiate by; whatever else `forward` uses counts as a constant.
 */
export function differentiable<O extends Tensor>(
  inputs: readonly Tensor[],
  forward: (save: GradSaveFunc) => Differentiable<O>,
): O {
  const op = customGrad<O>((...args) => {
    const { value, gradient } = forward(args[args.length - 1] as GradSaveFunc);
    // The engine does not tidy gradient functions: what they leave behind would stay until the last gradient is done.
    return { value, gradFunc: (dy: O, saved: Tensor[]) => tidy(() => gradient(dy, saved)) };
  });
  return op(...inputs);
}

/**
 * Rows of a table: `y_i = table[ids_i]`.
 *
 * The gradient adds the rows of `dy` up by id with one scatter. (The gradient that tfjs registers for `gather` walks
 * the whole table once per row on the cpu backend and does not exist on wasm.)
 *
 * @param table `[vocabulary, width]`
 * @param ids `[rows]`, int32
 */
export function embed(table: Tensor2D, ids: Tensor1D): Tensor2D {
  return differentiable<Tensor2D>([table], save => {
    save([ids]);
    return {
      value: gather(table, ids),
      gradient: (dy, [saved]) => [scatterND(reshape(saved!, [-1, 1]), dy, table.shape)],
    };
  });
}

/**
 * Root mean square normalization over the last axis (Zhang & Sennrich 2019): `y = x / √(mean(x²) + ε) ⊙ w`.
 *
 * With `x̂ = x / √(mean(x²) + ε)` the gradients are `dw = Σ_rows dy ⊙ x̂` and
 * `dx = (dx̂ - x̂ · mean(dx̂ ⊙ x̂)) / √(mean(x²) + ε)`, `dx̂ = dy ⊙ w`.
 *
 * @param x `[rows, width]`
 * @param weight `[width]`
 */
export function rmsNorm(x: Tensor2D, weight: Tensor1D, epsilon: number): Tensor2D {
  return differentiable<Tensor2D>([x, weight], save => {
    const inverse = rsqrt(add(mean(square(x), -1, true), epsilon));
    const value = mul(mul(x, inverse), weight) as Tensor2D;
    save([x, inverse, weight]);
    return { value, gradient: rmsNormGradient };
  });
}

function rmsNormGradient(dy: Tensor2D, saved: Tensor[]): Tensor[] {
  const [x, inverse, weight] = saved as [Tensor, Tensor, Tensor];
  const normed = mul(x, inverse);
  const dNormed = mul(dy, weight);
  const along = mean(mul(dNormed, normed), -1, true);
  return [mul(sub(dNormed, mul(normed, along)), inverse), sum(mul(dy, normed), 0)];
}

/**
 * Radians per position by which each pair of channels of a head is turned: `f_i = theta^(-2i/headDim)` for
 * `i < headDim/2` (Su et al. 2021, section 3.2.2), scaled:
 *
 * - `linear`: `f_i / factor`;
 * - `llama3`: with the wavelength `λ_i = 2π/f_i` and `L = original_max_position_embeddings`, it is `f_i` where
 *   `λ_i < L/high_freq_factor`, `f_i / factor` where `λ_i > L/low_freq_factor`, and between
 *   `(1 - s) f_i/factor + s f_i` with `s = (L/λ_i - low_freq_factor) / (high_freq_factor - low_freq_factor)`, which
 *   joins the two without a jump. It is what the reference code of Llama 3.1 does (Meta, `llama-models`, 2024).
 *
 * @param scaling Null: not scaled.
 */
export function rotaryFrequencies(headDim: number, theta: number, scaling: RopeScaling | null): Float64Array {
  return Float64Array.from({ length: headDim / 2 }, (_, i) => scaled(theta ** ((-2 * i) / headDim), scaling));
}

function scaled(frequency: number, scaling: RopeScaling | null): number {
  if (scaling === null) return frequency;
  const { rope_type: type, factor } = scaling;
  if (type === 'linear') return frequency / factor;
  const { low_freq_factor: low, high_freq_factor: high, original_max_position_embeddings: positions } = scaling;
  const wavelength = (2 * Math.PI) / frequency;
  // Below 0 the wavelength is a long one, above 1 a short one.
  const share = Math.min(1, Math.max(0, (positions / wavelength - low) / (high - low)));
  return (1 - share) * (frequency / factor) + share * frequency;
}

/** Cosines and signed sines of a rotary embedding, `[length, headDim]` each: see {@link rotaryTables}. */
export interface RotaryTables {
  readonly cosines: Tensor2D;
  readonly sines: Tensor2D;
}

/** The numbers of {@link RotaryTables}, row after row. */
export interface RotaryValues {
  readonly cosines: Float32Array;
  readonly sines: Float32Array;
}

/**
 * Tables for the rotary position embedding (Su et al. 2021) in the half-rotation convention of Hugging Face: channel
 * `i < headDim/2` is paired with `i + headDim/2` and turned at position `p` by `p · frequencies[i]`. The sines of the
 * first half carry the minus sign.
 *
 * @param frequencies Radians per position, `headDim/2` of them.
 * @param scale Multiplies both tables. Attention's `1/√headDim` goes here, so that scaling the queries costs nothing.
 */
export function rotaryTables(length: number, frequencies: ArrayLike<number>, scale: number): RotaryValues {
  const half = frequencies.length;
  const headDim = 2 * half;
  const cosines = new Float32Array(length * headDim);
  const sines = new Float32Array(length * headDim);
  for (let i = 0; i < half; i++) {
    const frequency = frequencies[i]!;
    for (let position = 0; position < length; position++) {
      const at = position * headDim + i;
      const cosine = scale * Math.cos(position * frequency);
      const sine = scale * Math.sin(position * frequency);
      cosines[at] = cosine;
      cosines[at + half] = cosine;
      sines[at] = -sine;
      sines[at + half] = sine;
    }
  }
  return { cosines, sines };
}

/**
 * `y = x ⊙ cos + swap(x) ⊙ sin`, where `swap` exchanges the halves of the last axis. Swapping the signed sines negates
 * them, so the gradient is the opposite turn: `dx = dy ⊙ cos - swap(dy) ⊙ sin`. Of `x` nothing is kept for it.
 *
 * @param x `[batch, heads, length, headDim]`
 */
export function rotate(x: Tensor4D, { cosines, sines }: RotaryTables): Tensor4D {
  return differentiable<Tensor4D>([x], save => {
    const value = add(mul(x, cosines), mul(swapHalves(x), sines)) as Tensor4D;
    save([cosines, sines]);
    return { value, gradient: rotateGradient };
  });
}

function rotateGradient(dy: Tensor4D, saved: Tensor[]): Tensor[] {
  const [cosines, sines] = saved as [Tensor2D, Tensor2D];
  return [sub(mul(dy, cosines), mul(swapHalves(dy), sines))];
}

function swapHalves(x: Tensor4D): Tensor4D {
  const half = x.shape[3] / 2;
  const first = slice(x, [0, 0, 0, 0], [-1, -1, -1, half]);
  const second = slice(x, [0, 0, 0, half], [-1, -1, -1, half]);
  return concat([second, first], 3);
}

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

/**
 * The gated unit of LLaMA's MLP (Shazeer 2020): `y = silu(gate) ⊙ up`, `silu(g) = g · σ(g)`.
 *
 * `dup = dy ⊙ silu(g)`, `dgate = dy ⊙ up ⊙ (σ + silu(g) · (1 - σ))`. σ is computed again in the backward pass rather
 * than kept.
 */
export function swiglu(gate: Tensor2D, up: Tensor2D): Tensor2D {
  return differentiable<Tensor2D>([gate, up], save => {
    const value = mul(mul(gate, sigmoid(gate)), up) as Tensor2D;
    save([gate, up]);
    return { value, gradient: swigluGradient };
  });
}

function swigluGradient(dy: Tensor2D, saved: Tensor[]): Tensor[] {
  const [gate, up] = saved as [Tensor, Tensor];
  const gateSigmoid = sigmoid(gate);
  const silu = mul(gate, gateSigmoid);
  const slope = add(gateSigmoid, sub(silu, mul(silu, gateSigmoid)));
  return [mul(mul(dy, up), slope), mul(dy, silu)];
}

/** Default of {@link linearCrossEntropy}'s `maxLogits`: 16 MiB of float32, of which a chunk makes four copies. */
export const MAX_LOGITS: number = 2 ** 22;

/**
 * Mean cross-entropy of the output layer: `mean_i (log Σ_v exp(h_i·w_v) - h_i·w_{target_i})`, in nats per token.
 *
 * Layer and loss are one op because the logits are by far the largest tensor of a small model with a large vocabulary.
 * They are made a chunk of rows at a time and, when a gradient is being taken, turned at once into
 *
 *     dh_i = (Σ_v p_iv w_v - w_{target_i}) / rows        dw_v = Σ_i (p_iv - [v = target_i]) h_i / rows
 *
 * The `[v = target]` parts are a gather and a scatter of narrow rows: there is no one-hot matrix. What is kept for the
 * backward pass is these two gradients; the logits of a chunk are gone when the next one starts. A weight that is a frozen
 * variable gets none.
 *
 * @param hidden `[rows, width]`
 * @param weight `[vocabulary, width]`
 * @param targets `[rows]`, int32, each below `vocabulary`
 * @param maxLogits Most logits in memory at once; a chunk has at least one row.
 */
export function linearCrossEntropy(
  hidden: Tensor2D,
  weight: Tensor2D,
  targets: Tensor1D,
  maxLogits: number = MAX_LOGITS,
): Scalar {
  const rows = hidden.shape[0];
  const chunkRows = Math.max(1, Math.min(rows, Math.floor(maxLogits / weight.shape[0])));
  const isFrozen = weight instanceof Variable && !weight.trainable;
  return differentiable<Scalar>(isFrozen ? [hidden] : [hidden, weight], save => {
    const withGradient = engine().state.gradientDepth > 0;
    const gradientsOf = { hidden: withGradient, weight: withGradient && !isFrozen };
    const dHidden: Tensor2D[] = [];
    let sums: Tensor[] = [];
    for (let first = 0; first < rows; first += chunkRows) {
      const previous = sums;
      const [dHiddenChunk, ...next] = tidy(() => {
        const count = Math.min(chunkRows, rows - first);
        const h = count === rows ? hidden : slice(hidden, [first, 0], [count, -1]);
        const t = count === rows ? targets : slice(targets, [first], [count]);
        const [loss, dh, dWeight] = crossEntropyOfChunk(h, weight, t, rows, gradientsOf);
        const terms = dWeight === undefined ? [loss!] : [loss!, dWeight];
        return [dh ?? loss!, ...terms.map((term, i) => (previous.length === 0 ? term : add(previous[i]!, term)))];
      });
      if (withGradient) dHidden.push(dHiddenChunk as Tensor2D);
      dispose(previous);
      sums = next;
    }
    const [loss, dWeight] = sums;
    if (withGradient) {
      const gradient = dHidden.length === 1 ? dHidden[0]! : concat(dHidden, 0);
      save(dWeight === undefined ? [gradient] : [gradient, dWeight]);
    }
    return { value: loss as Scalar, gradient: (dy, saved) => saved.map(gradient => mul(gradient, dy)) };
  });
}

/** This chunk's share of the mean loss and, if asked for, of the gradients by `h` and by `weight`. */
function crossEntropyOfChunk(
  h: Tensor2D,
  weight: Tensor2D,
  targets: Tensor1D,
  rows: number,
  gradientsOf: { readonly hidden: boolean; readonly weight: boolean },
): Tensor[] {
  const logits = matMul(h, weight, false, true);
  const largest = max(logits, -1, true);
  const exponentials = exp(sub(logits, largest));
  const normalizer = sum(exponentials, -1, true);
  const targetRows = gather(weight, targets);
  const targetLogits = sum(mul(h, targetRows), -1, true);
  const share = 1 / rows;
  const loss = mul(sum(sub(add(log(normalizer), largest), targetLogits)), share);
  if (!gradientsOf.hidden) return [loss];

  const probabilities = div(exponentials, mul(normalizer, rows)) as Tensor2D;
  const dh = sub(matMul(probabilities, weight), mul(targetRows, share));
  if (!gradientsOf.weight) return [loss, dh];
  const counted = scatterND(reshape(targets, [-1, 1]), mul(h, share), weight.shape);
  return [loss, dh, sub(matMul(probabilities, h, true, false), counted)];
}
