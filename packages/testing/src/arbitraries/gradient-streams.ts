import { randomKey, randomNormals, randomUniform, type Shape, sizeOf } from '@frugaljs/core';
import fc, { type Arbitrary } from 'fast-check';

/** A reproducible sequence of gradients, for one parameter or several. */
export interface GradientStream {
  /** By name of the parameter. */
  readonly shapes: Readonly<Record<string, Shape>>;
  readonly steps: number;
  readonly seed: number;
  /**
   * `normal`: standard normal entries. `uneven`: entries of very different size and one in ten exactly 0, as gradients
   * of a model are.
   */
  readonly kind: 'normal' | 'uneven';
}

export interface StreamOptions {
  /** Most parameters. Default 3. */
  readonly parameters?: number;
  /** Largest dimension. Default 7. */
  readonly largest?: number;
  /** Smallest dimension. Default 1. */
  readonly smallest?: number;
  /** Most steps. Default 8. */
  readonly steps?: number;
}

/** Streams of gradients of matrices `a`, `b`, … */
export function gradientStreams(options: StreamOptions = {}): Arbitrary<GradientStream> {
  const { parameters = 3, largest = 7, smallest = 1, steps = 8 } = options;
  const dimension = fc.integer({ min: smallest, max: largest });
  return fc
    .record({
      shapes: fc.array(fc.tuple(dimension, dimension), { minLength: 1, maxLength: parameters }),
      steps: fc.integer({ min: Math.min(2, steps), max: steps }),
      seed: fc.nat({ max: 9999 }),
      kind: fc.constantFrom('normal' as const, 'uneven' as const),
    })
    .map(({ shapes, ...rest }) => ({
      shapes: Object.fromEntries(shapes.map((shape, i) => [String.fromCharCode(97 + i), shape])),
      ...rest,
    }));
}

/** The gradient of one parameter at one step. */
export function gradientAt({ seed, kind }: GradientStream, name: string, shape: Shape, step: number): Float32Array {
  const values = randomNormals(randomKey(seed, name, step), sizeOf(shape));
  return kind === 'uneven'
    ? uneven(values, randomKey(seed, name, 'size'), randomKey(seed, name, step, 'zero'))
    : values;
}

/** The values that a parameter starts from. */
export function startOf({ seed }: GradientStream, name: string, shape: Shape): Float32Array {
  return randomNormals(randomKey(seed, name, 'start'), sizeOf(shape));
}

type Key = ReturnType<typeof randomKey>;

function uneven(values: Float32Array, sizes: Key, zeros: Key): Float32Array {
  return values.map((x, i) => (randomUniform(zeros, i) < 0.1 ? 0 : x * 10 ** (4 * randomUniform(sizes, i) - 3)));
}
