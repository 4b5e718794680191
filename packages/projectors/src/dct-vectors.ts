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
/** Odd factors are split at this number when a product would pass {@link LARGEST_EXACT}. */
const SPLIT = 64;

const tables = new Map<number, Float32Array>();

/**
 * Columns of the orthonormal cosine matrix of size a, Q_ij = √(2/a) cos(i (2j+1) π / 2a) with row 0 times √½, for the
 * j in `frequencies` (int32 `[r]`): an `[a, r]` matrix, made on the device and never read back.
 *
 * The cosines come from a table of one period, 4a numbers, since a GPU's cosine may be off by 2⁻¹¹; its position
 * i (2j+1) mod 4a is computed in floats that stay exact integers.
 */
export function dctVectors(size: number, frequencies: Tensor): Tensor2D {
  return tidy(() => {
    const period = 4 * size;
    const odd = add(mul(cast(frequencies, 'float32'), 2), 1);
    const row = expandDims(range(0, size), 1);
    const position = cast(productModulo(row, odd, size, period), 'int32');
    const count = frequencies.size;
    const cosines = reshape(takeSlices(tensor1d(periodOf(size)), reshape(position, [size * count])), [size, count]);
    const first = new Float32Array(size).fill(1);
    first[0] = Math.SQRT1_2;
    return mul(cosines, expandDims(tensor1d(first), 1)) as Tensor2D;
  });
}

/** √(2/a) cos(π k / 2a) for k = 0 … 4a-1. */
function periodOf(size: number): Float32Array {
  let table = tables.get(size);
  if (table === undefined) {
    const scale = Math.sqrt(2 / size);
    table = Float32Array.from({ length: 4 * size }, (_, k) => scale * cosTurns(k / (4 * size)));
    tables.set(size, table);
  }
  return table;
}

/** row · odd mod period, for row < size and odd < 2 size. */
function productModulo(row: Tensor, odd: Tensor, size: number, period: number): Tensor {
  if (2 * size * size <= LARGEST_EXACT) return modulo(mul(row, odd), period);
  const high = floor(div(odd, SPLIT));
  const low = sub(odd, mul(high, SPLIT));
  return modulo(add(mul(modulo(mul(row, high), period), SPLIT), mul(row, low)), period);
}

/** x mod period for exact integers. A GPU's division may round across an integer; a second pass puts that right. */
function modulo(x: Tensor, period: number): Tensor {
  const once = (y: Tensor): Tensor => sub(y, mul(floor(div(add(y, 0.5), period)), period));
  return once(once(x));
}
