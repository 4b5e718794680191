import '@tensorflow/tfjs-backend-cpu';
import '@tensorflow/tfjs-layers';
import '../src/index.js';
import {
  backend as currentBackend,
  type DataType,
  memory,
  setBackend,
  type Tensor,
  tensor,
  tidy,
} from '@tensorflow/tfjs-core';
import fc from 'fast-check';
import { expect } from 'vitest';

/** Values of a tensor, away from any backend. */
export interface Values {
  readonly shape: readonly number[];
  readonly dtype: DataType;
  readonly data: readonly number[];
}

/** Pseudo-random floats in [-1, 1) from a seed (the generator "mulberry32" by Tommy Ettinger). */
export function randomFloats(count: number, seed: number): Float32Array {
  let state = seed >>> 0;
  return Float32Array.from({ length: count }, () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 31 - 1;
  });
}

/** A float32 tensor of pseudo-random values on the current backend. */
export function randomTensor(shape: readonly number[], seed: number): Tensor {
  return tensor(randomFloats(sizeOf(shape), seed), [...shape], 'float32');
}

export function sizeOf(shape: readonly number[]): number {
  return shape.reduce((product, size) => product * size, 1);
}

/** Runs a computation on a backend, checks that it leaves no tensor behind, and returns its results. */
export async function runOn(backend: 'cpu' | 'wasm', compute: () => Tensor | Tensor[]): Promise<Values[]> {
  await setBackend(backend);
  const before = held();
  const results = [tidy(compute)].flat();
  const values = results.map(
    (result): Values => ({ shape: result.shape, dtype: result.dtype, data: Array.from(result.dataSync()) }),
  );
  for (const result of results) result.dispose();
  expect(held()).toEqual(before);
  return values;
}

/** Tensors, buffers and, below what tfjs's engine sees, the backend's own records. */
function held(): number[] {
  const { numTensors, numDataBuffers } = memory();
  return [numTensors, numDataBuffers, currentBackend().numDataIds()];
}

/** Expects the same results from the WASM backend as from the CPU backend, up to rounding. */
export async function expectSameAsCpu(compute: () => Tensor | Tensor[], tolerance = 1e-5): Promise<void> {
  const expected = await runOn('cpu', compute);
  const found = await runOn('wasm', compute);
  expect(found.length).toBe(expected.length);
  for (const [i, values] of found.entries()) expectClose(values, expected[i]!, tolerance);
}

/** Compares shape, type and values; the tolerance is absolute below one and relative above. */
export function expectClose(found: Values, expected: Values, tolerance: number): void {
  expect([found.shape, found.dtype]).toEqual([expected.shape, expected.dtype]);
  const wrong = expected.data.findIndex((value, i) => {
    const other = found.data[i]!;
    return !Object.is(value, other) && !(Math.abs(value - other) <= tolerance * Math.max(1, Math.abs(value)));
  });
  if (wrong >= 0)
    expect({ index: wrong, value: found.data[wrong] }).toEqual({ index: wrong, value: expected.data[wrong] });
}

/** Sizes of an axis: mostly small, with zero and one, odd and multiples of the vector width. */
export const axisSize: fc.Arbitrary<number> = fc.oneof(fc.integer({ min: 0, max: 19 }), fc.constantFrom(1, 4, 8, 33));
/** Axis sizes above zero. */
export const filledAxisSize: fc.Arbitrary<number> = axisSize.map(size => Math.max(1, size));
export const seed: fc.Arbitrary<number> = fc.nat();
