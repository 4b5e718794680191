import { type Tensor, type Tensor4D, tensor4d } from '@tensorflow/tfjs-core';
import fc from 'fast-check';
import { expect } from 'vitest';
import { worstError } from '../../../tools/test-support/closeness.js';
import { randomFloats, runOn, type Values } from './compare.js';

/** A convolution or pooling of small images. */
export interface Geometry {
  readonly batch: number;
  readonly height: number;
  readonly width: number;
  readonly channels: number;
  /** Output channels; of a depthwise convolution, the channel multiplier. */
  readonly filters: number;
  readonly filterHeight: number;
  readonly filterWidth: number;
  readonly strides: [number, number];
  readonly dilations: [number, number];
  readonly pad: 'same' | 'valid' | number | ExplicitPadding;
  readonly seed: number;
}

type Sides = [number, number];
type ExplicitPadding = [Sides, Sides, Sides, Sides];

const pair = (max: number): fc.Arbitrary<Sides> => fc.tuple(fc.integer({ min: 1, max }), fc.integer({ min: 1, max }));
const side = fc.tuple(fc.nat({ max: 3 }), fc.nat({ max: 3 }));
const explicit: fc.Arbitrary<ExplicitPadding> = fc
  .tuple(side, side)
  .map(([rows, columns]): ExplicitPadding => [[0, 0], rows, columns, [0, 0]]);
/** The cpu backend adds up in float32, one number after the other: its own error in long sums is above the tolerance. */
const fewChannels = fc.integer({ min: 1, max: 9 });
const fewPixels = fc.integer({ min: 1, max: 9 });
const channels = fc.oneof(fewChannels, fc.constantFrom(16, 21, 35));

/** What the images and filters of the arbitraries may be like. */
interface Limits {
  /** Gaps in the filters, where the strides are 1 (tfjs allows nothing else). */
  readonly dilated?: boolean;
  readonly largestFilters?: number;
  /** Sums short enough for the cpu backend. */
  readonly short?: boolean;
}

/** Odd sizes, filters larger than the images, every kind of padding; always with an output. */
export function geometries({
  dilated = false,
  largestFilters = 20,
  short = false,
}: Limits = {}): fc.Arbitrary<Geometry> {
  const isDilated = fc.boolean().map(yes => yes && dilated);
  return fc
    .record({
      batch: fc.integer({ min: 1, max: 3 }),
      height: fc.integer({ min: 1, max: 9 }),
      width: short ? fewPixels : fc.oneof(fewPixels, fc.constant(40)),
      channels: short ? fewChannels : channels,
      filters: fc.integer({ min: 1, max: largestFilters }),
      filterHeight: fc.integer({ min: 1, max: 5 }),
      filterWidth: fc.integer({ min: 1, max: 5 }),
      steps: pair(3),
      isDilated,
      pad: fc.oneof(fc.constantFrom('same' as const, 'valid' as const), fc.nat({ max: 3 }), explicit),
      seed: fc.nat(),
    })
    .map(({ steps, isDilated: gaps, ...rest }): Geometry => {
      const one: Sides = [1, 1];
      return { ...rest, strides: gaps ? one : steps, dilations: gaps ? steps : one };
    })
    .filter(geometry => outputSize(geometry).every(size => size > 0));
}

/** Height and width of the output, and how far the images are padded at the top and at the left. */
export function outputSize(geometry: Geometry): [height: number, width: number] {
  return [axisOf(geometry, 0).out, axisOf(geometry, 1).out];
}

/** One axis of the images, by the definition of the paddings. */
function axisOf(geometry: Geometry, axis: 0 | 1): { out: number; before: number; input: number; size: number } {
  const input = axis === 0 ? geometry.height : geometry.width;
  const size = axis === 0 ? geometry.filterHeight : geometry.filterWidth;
  const [stride, dilation] = [geometry.strides[axis], geometry.dilations[axis]];
  const extent = (size - 1) * dilation + 1;
  const { pad } = geometry;
  if (pad === 'same') {
    const out = Math.ceil(input / stride);
    return { out, before: Math.floor(Math.max(0, (out - 1) * stride + extent - input) / 2), input, size };
  }
  if (typeof pad === 'number') {
    // tfjs finds the width with the height of the filter and of the stride.
    const rows = (geometry.filterHeight - 1) * geometry.dilations[0] + 1;
    return { out: Math.trunc((input + 2 * pad - rows) / geometry.strides[0] + 1), before: pad, input, size };
  }
  const [before, after] = pad === 'valid' ? [0, 0] : pad[axis + 1]!;
  return { out: Math.floor((input + before + after - extent) / stride) + 1, before, input, size };
}

/** Calls back for each entry of each window that is inside of its image. */
export function eachEntry(
  geometry: Geometry,
  visit: (image: number, out: Sides, input: Sides, entry: Sides) => void,
): void {
  const [rows, columns] = [axisOf(geometry, 0), axisOf(geometry, 1)];
  const inside = (axis: typeof rows, at: number, entry: number, i: 0 | 1): number => {
    const input = at * geometry.strides[i] - axis.before + entry * geometry.dilations[i];
    return input >= 0 && input < axis.input ? input : -1;
  };
  for (let image = 0; image < geometry.batch; image++) {
    for (let y = 0; y < rows.out; y++) {
      for (let x = 0; x < columns.out; x++) {
        for (let i = 0; i < rows.size; i++) {
          for (let j = 0; j < columns.size; j++) {
            const [row, column] = [inside(rows, y, i, 0), inside(columns, x, j, 1)];
            if (row >= 0 && column >= 0) visit(image, [y, x], [row, column], [i, j]);
          }
        }
      }
    }
  }
}

/** Which numbers of a tensor are replaced, by its name. */
export type Replaced = (name: 'x' | 'w' | 'dy') => Readonly<Record<number, number>>;

/** NaN and infinities somewhere in one of the tensors of a convolution. */
export const strangers: fc.Arbitrary<Replaced> = fc
  .tuple(
    fc.dictionary(fc.nat({ max: 500 }).map(String), fc.constantFrom(Number.NaN, Infinity, -Infinity), {
      minKeys: 1,
      maxKeys: 3,
    }),
    fc.constantFrom('x', 'w', 'dy'),
  )
  .map(
    ([values, where]) =>
      name =>
        name === where ? values : {},
  );

export type Shape = [number, number, number, number];

export const imageShape = ({ batch, height, width, channels }: Geometry): Shape => [batch, height, width, channels];

/** The images of a geometry. */
export const images = (g: Geometry, replaced = {}): Tensor4D => tensorOf(imageShape(g), g.seed, replaced);

/** The gradient of what comes out, of this shape. */
export const gradientOf = (shape: Shape, g: Geometry, replaced = {}): Tensor4D => tensorOf(shape, g.seed + 2, replaced);

/** A tensor of random numbers, some of them replaced. */
export function tensorOf(
  shape: readonly [number, number, number, number],
  seed: number,
  replaced: Readonly<Record<number, number>> = {},
): Tensor4D {
  const floats = randomFloats(
    shape.reduce((product, size) => product * size, 1),
    seed,
  );
  for (const [i, value] of Object.entries(replaced)) floats[Number(i) % floats.length] = value;
  return tensor4d(floats, [...shape]);
}

/** How far numbers may be off, as a part of the largest number. */
const TOLERANCE = 1e-6;
/** Sums of products of random numbers that happen to cancel are no smaller than one such product, by this measure. */
const SMALLEST_SCALE = 1 / 3;

/** Expects the numbers of the WASM backend to be those of the cpu backend, within 1e-6 of the largest. */
export async function expectNearCpu(compute: () => Tensor | Tensor[]): Promise<Values[]> {
  const expected = await runOn('cpu', compute);
  await expectNear(compute, expected);
  return expected;
}

const strange = (value: number): number | null => (Number.isFinite(value) ? null : value);

/** Expects NaN and infinities of the WASM backend where they should be, and numbers elsewhere. */
export async function expectPlaces(compute: () => Tensor[], expected: readonly Values[]): Promise<void> {
  const found = await runOn('wasm', compute);
  expect(found.map(({ data }) => data.map(strange))).toEqual(expected.map(({ data }) => data.map(strange)));
}

/** Expects numbers of the WASM backend. NaN and infinities have to be where they are expected. */
export async function expectNear(compute: () => Tensor | Tensor[], expected: readonly Values[]): Promise<void> {
  const found = await runOn('wasm', compute);
  expect(found.length).toBe(expected.length);
  for (const [i, { shape, data }] of found.entries()) {
    expect(shape).toEqual(expected[i]!.shape);
    const wanted = expected[i]!.data;
    expect(data.map(strange)).toEqual(wanted.map(strange));
    const finite = (_: number, at: number): boolean => Number.isFinite(wanted[at]!);
    expect(worstError(data.filter(finite), wanted.filter(finite), SMALLEST_SCALE)).toBeLessThanOrEqual(TOLERANCE);
  }
}
