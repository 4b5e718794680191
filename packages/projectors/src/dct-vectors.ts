import { cosTurns } from '@frugaljs/core';
import {
  add,
  cast,
  div,
  expandDims,
  floor,
  mul,
  range,
  reshape,
  sub,
  type Tensor,
  type Tensor2D,
  tensor1d,
  tidy,
} from '@tensorflow/tfjs-core';
import { takeSlices } from './coordinates.js';

/** Above this, float32 no longer counts every integer. */
const LARGEST_EXACT = 2 ** 24;
/** Odd factors are split at this number when a product would pass {@link LARGEST_EXACT}; good for sizes up to 23170. */
const SPLIT = 64;

const tables = new Map<number, Float32Array>();

/**
 * Columns of the orthonormal cosine matrix of size a, Q_ij = √(2/a) cos(i (2j+1) π / 2a) with row 0 times √½, for the
 * j in `frequencies` (int32 `[r]`): an `[a, r]` matrix, made on the device and never read back.
 *
 * The cosines come from a host table, since a GPU's cosine may be off by 2⁻¹¹; the position in it, i (2j+1) modulo the
 * period 4a, is computed in floats that stay exact integers.
 */
export function dctVectors(size: number, frequencies: Tensor): Tensor2D {
  return tidy(() => {
    const period = 4 * size;
    const odd = add(mul(cast(frequencies, 'float32'), 2), 1);
    const row = expandDims(range(0, size), 1);
    const position = cast(add(productModulo(row, odd, size, period), period), 'int32');
    const count = frequencies.size;
    const cosines = reshape(takeSlices(tensor1d(periodsOf(size)), reshape(position, [size * count])), [size, count]);
    const first = new Float32Array(size).fill(1);
    first[0] = Math.SQRT1_2;
    return mul(cosines, expandDims(tensor1d(first), 1)) as Tensor2D;
  });
}

/** √(2/a) cos(π k / 2a) for k = -4a … 8a-1, three periods, from position 0. */
function periodsOf(size: number): Float32Array {
  let table = tables.get(size);
  if (table === undefined) {
    const [period, scale] = [4 * size, Math.sqrt(2 / size)];
    table = Float32Array.from({ length: 3 * period }, (_, k) => scale * cosTurns((k % period) / period));
    tables.set(size, table);
  }
  return table;
}

/** row · odd, up to multiples of the period, from -period to 2 · period; for row < size and odd < 2 size. */
function productModulo(row: Tensor, odd: Tensor, size: number, period: number): Tensor {
  if (2 * size * size <= LARGEST_EXACT) return modulo(mul(row, odd), period);
  const high = floor(div(odd, SPLIT));
  const low = sub(odd, mul(high, SPLIT));
  return modulo(add(mul(modulo(mul(row, high), period), SPLIT), mul(row, low)), period);
}

/** x - period · ⌊x / period⌋ for exact integers. A GPU's division may round across an integer: one period off at most. */
function modulo(x: Tensor, period: number): Tensor {
  return sub(x, mul(floor(div(x, period)), period));
}
