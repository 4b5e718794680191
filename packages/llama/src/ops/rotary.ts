import { add, concat, mul, slice, sub, type Tensor, type Tensor2D, type Tensor4D } from '@tensorflow/tfjs-core';
import { differentiable } from './differentiable.js';

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
