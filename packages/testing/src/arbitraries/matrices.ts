import { matrixView, randomInteger, randomKey, randomNormals, randomUniform, type Shape, sizeOf } from '@frugaljs/core';
import fc, { type Arbitrary } from 'fast-check';
import { type ShapeOptions, shapes } from './shapes.js';

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
