import { matrixView, randomInteger, randomKey, randomNormals, randomUniform, type Shape, sizeOf } from '@frugaljs/core';
import fc, { type Arbitrary } from 'fast-check';

// What parts are given: shapes of parameters, gradients of every kind and scale, and streams of them.

/** The parameters a part works on: matrices only, or tensors of at least so many axes. */
export type Parameters = 'any' | 'at least 1 axis' | 'at least 2 axes' | 'matrix';

export interface ShapeOptions {
  /** Default `matrix`. */
  readonly parameters?: Parameters;
  /** Largest dimension of a matrix. Default 9. */
  readonly largest?: number;
}

/**
 * Shapes of parameters. Matrices are tall, wide and square, among them 1 × n, n × 1 and 1 × 1; where the parameters may
 * be anything there are also scalars, vectors and tensors of 3 and 4 axes. Shrinks towards 1 × 1.
 */
export function shapes({ parameters = 'matrix', largest = 9 }: ShapeOptions = {}): Arbitrary<Shape> {
  const dimension = fc.integer({ min: 1, max: largest });
  const matrix: Arbitrary<Shape> = fc.oneof(
    { withCrossShrink: true },
    { arbitrary: fc.tuple(dimension, dimension), weight: 6 },
    { arbitrary: dimension.map((n): Shape => [n, n]), weight: 2 },
    { arbitrary: dimension.map((n): Shape => [1, n]), weight: 1 },
    { arbitrary: dimension.map((m): Shape => [m, 1]), weight: 1 },
  );
  const tensor: Arbitrary<Shape> = fc.array(fc.integer({ min: 1, max: 4 }), { minLength: 3, maxLength: 4 });
  const vector: Arbitrary<Shape> = fc.tuple(fc.integer({ min: 1, max: 2 * largest }));
  const scalar: Arbitrary<Shape> = fc.constant<Shape>([]);
  switch (parameters) {
    case 'matrix':
      return matrix;
    case 'at least 2 axes':
      return fc.oneof({ withCrossShrink: true }, { arbitrary: matrix, weight: 4 }, tensor);
    case 'at least 1 axis':
      return fc.oneof({ withCrossShrink: true }, { arbitrary: matrix, weight: 4 }, vector, tensor);
    case 'any':
      return fc.oneof({ withCrossShrink: true }, { arbitrary: matrix, weight: 4 }, vector, tensor, scalar);
  }
}

/** Shapes at the edge: single rows, columns and entries. */
export function degenerateShapes(parameters: Parameters): readonly Shape[] {
  const matrices: Shape[] = [
    [1, 1],
    [1, 7],
    [7, 1],
    [2, 2],
  ];
  if (parameters === 'matrix') return matrices;
  const tensors: Shape[] = [...matrices, [1, 1, 1], [2, 1, 3]];
  if (parameters === 'at least 2 axes') return tensors;
  const vectors: Shape[] = [...tensors, [1], [5]];
  return parameters === 'any' ? [...vectors, []] : vectors;
}

/** What a matrix is like. */
export type MatrixKind =
  /** Independent standard normal entries: well-conditioned. */
  | 'normal'
  /** Singular directions that fall by factors of ten: ill-conditioned. */
  | 'illConditioned'
  /** A product of two thin factors, of rank 1 or 2. */
  | 'lowRank'
  /** About four entries in five are exactly 0. */
  | 'sparse'
  /** Entries spread over eight orders of magnitude, as gradients are. */
  | 'heavyTailed'
  /** Some rows are exactly 0, as those of unused embeddings are. */
  | 'zeroRows'
  /** All entries are equal. */
  | 'constant'
  | 'zero';

export const MATRIX_KINDS: readonly MatrixKind[] = [
  'normal',
  'illConditioned',
  'lowRank',
  'sparse',
  'heavyTailed',
  'zeroRows',
  'constant',
  'zero',
];

/** How to make a matrix of any shape: small enough to print, the same numbers every time. */
export interface MatrixRecipe {
  readonly kind: MatrixKind;
  /** All entries are multiplied by 2 to this power. */
  readonly exponent: number;
  readonly seed: number;
}

export interface MatrixOptions {
  /** Default: all of {@link MATRIX_KINDS}. */
  readonly kinds?: readonly MatrixKind[];
  /** Powers of 2 that entries are scaled by. Default 0 mostly, and -40, -20, 20 and 40. */
  readonly exponents?: readonly number[];
}

const EXPONENTS = [0, 0, 0, 0, -20, 20, -40, 40];

/** Recipes of matrices; shrink towards standard normal entries of size 1. */
export function matrixRecipes({
  kinds = MATRIX_KINDS,
  exponents = EXPONENTS,
}: MatrixOptions = {}): Arbitrary<MatrixRecipe> {
  return fc.record({
    kind: fc.constantFrom(...kinds),
    exponent: fc.constantFrom(...exponents),
    seed: fc.nat({ max: 9999 }),
  });
}

/** A matrix with its shape: what {@link matrixRecipes} describes, made. */
export interface Matrix {
  readonly shape: Shape;
  readonly recipe: MatrixRecipe;
  readonly values: Float32Array;
}

/** Matrices, or tensors with `parameters`, of all kinds and scales. */
export function matrices(options: MatrixOptions & ShapeOptions = {}): Arbitrary<Matrix> {
  return fc
    .tuple(shapes(options), matrixRecipes(options))
    .map(([shape, recipe]) => ({ shape, recipe, values: matrixValues(shape, recipe) }));
}

/** The entries of the matrix that a recipe describes; tensors are seen as matrices of their last axis. */
export function matrixValues(shape: Shape, { kind, exponent, seed }: MatrixRecipe): Float32Array {
  const values = unscaled(shape, kind, seed);
  const factor = 2 ** exponent;
  for (let i = 0; i < values.length; i++) values[i]! *= factor;
  return values;
}

function unscaled(shape: Shape, kind: MatrixKind, seed: number): Float32Array {
  const [m, n] = matrixView(shape);
  const normals = randomNormals(randomKey(seed, kind), sizeOf(shape));
  const coin = randomKey(seed, kind, 'coin');
  switch (kind) {
    case 'normal':
      return normals;
    case 'illConditioned':
      return normals.map((x, i) => x * 10 ** -(i % n) * 10 ** -(Math.floor(i / n) % 3));
    case 'lowRank': {
      const rank = 1 + randomInteger(coin, 0, 2);
      const left = randomNormals(randomKey(seed, 'left'), m * rank);
      const right = randomNormals(randomKey(seed, 'right'), n * rank);
      return normals.map((_, i) => {
        const [row, column] = [Math.floor(i / n), i % n];
        let sum = 0;
        for (let k = 0; k < rank; k++) sum += left[row * rank + k]! * right[column * rank + k]!;
        return sum;
      });
    }
    case 'sparse':
      return normals.map((x, i) => (randomUniform(coin, i) < 0.8 ? 0 : x));
    case 'heavyTailed':
      return normals.map((x, i) => x * 10 ** (8 * randomUniform(coin, i) - 6));
    case 'zeroRows':
      return normals.map((x, i) => (randomUniform(coin, Math.floor(i / n)) < 0.5 ? 0 : x));
    case 'constant':
      return normals.fill(normals[0] ?? 1);
    case 'zero':
      return normals.fill(0);
  }
}

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
