import type { RecordedSubspace, RecordedTensor } from '../trajectory-file.js';
import { flipped, type Matrix, matrixOf, orthonormalRows, product, singularValues } from './matrices.js';
import type { NoiseWatch } from './noise.js';
import type { RandomSource } from './random-source.js';

/** A subspace of one matrix, in float64. */
export interface SimulatedSubspace {
  down(g: readonly number[]): number[];
  up(x: readonly number[]): number[];
  readonly recorded: NonNullable<RecordedSubspace>;
}

/** Python's round: ties go to the even neighbor. */
export function pythonRound(x: number): number {
  const below = Math.floor(x);
  if (x - below !== 0.5) return Math.round(x);
  return below % 2 === 0 ? below : below + 1;
}

export function coordinates(
  choice: string,
  density: number,
  [m, n]: readonly [number, number],
  random: RandomSource,
): SimulatedSubspace {
  const total = choice === 'columns' ? n : choice === 'rows' ? m : m * n;
  const indices = random.permutation(total).slice(0, Math.floor(total * density));
  // The flat positions of the entries that are kept, in the order of the reduced tensor.
  const positions =
    choice === 'rows'
      ? indices.flatMap(i => Array.from({ length: n }, (_, j) => i * n + j))
      : choice === 'columns'
        ? Array.from({ length: m }, (_, i) => indices.map(j => i * n + j)).flat()
        : indices;
  return {
    down: g => positions.map(position => g[position]!),
    up: x => {
      const full = new Array<number>(m * n).fill(0);
      positions.forEach((position, k) => {
        full[position] = x[k]!;
      });
      return full;
    },
    recorded: { indices },
  };
}

/** Which way an official dense projector multiplies, and the rank that its code base makes of a density. */
export function sideOf(side: string, [m, n]: readonly [number, number]): 'left' | 'right' | 'full' {
  if (side === 'right' || (side === 'std' && m >= n) || (side === 'reverse_std' && m < n)) return 'right';
  return side === 'full' ? 'full' : 'left';
}

/**
 * @param rank Asked for; singular vectors are sliced from what there is.
 * @param g The gradient of the refresh.
 */
export function dense(
  type: string,
  side: 'left' | 'right' | 'full',
  rank: number,
  g: readonly number[],
  shape: readonly [number, number],
  random: RandomSource,
  watch: NoiseWatch,
): SimulatedSubspace {
  const [m, n] = shape;
  const basis = (size: number): Matrix => {
    if (type === 'random') return orthonormalRows(matrixOf(random.normals(rank * size), [rank, size]));
    const order = random.permutation(size).slice(0, rank);
    return order.map(index => Array.from({ length: size }, (_, j) => (j === index ? 1 : 0)));
  };
  let [left, right]: [Matrix, Matrix] = [[], []];
  if (type === 'svd') {
    const decomposed = singularValues(matrixOf(g, shape));
    watch.requireGaps(decomposed.values, rank);
    // Any program may give a pair of vectors either sign.
    const signs = decomposed.values.map(() => (random.uniform() < 0.5 ? -1 : 1));
    const turn = (vectors: Matrix): Matrix => vectors.slice(0, rank).map((vector, i) => vector.map(x => signs[i]! * x));
    left = turn(decomposed.left);
    right = turn(decomposed.right);
  } else {
    if (side !== 'right') left = basis(m);
    if (side !== 'left') right = basis(n);
  }
  // `left` and `right` hold one basis vector per row.
  const [r, leftColumns, rightColumns] = [
    side === 'right' ? right.length : left.length,
    flipped(left, m),
    flipped(right, n),
  ];
  return {
    down: flat => {
      let low: Matrix = matrixOf(flat, shape);
      if (side !== 'right') low = product(left, low, n);
      if (side !== 'left') low = product(low, rightColumns, r);
      return low.flat();
    },
    up: flat => {
      const low = matrixOf(flat, [side === 'right' ? m : r, side === 'left' ? n : r]);
      const lifted = side === 'right' ? low : product(leftColumns, low, side === 'full' ? r : n);
      return (side === 'left' ? lifted : product(lifted, right, n)).flat();
    },
    recorded: {
      basis: [
        ...(side === 'right' ? [] : [tensorOf(leftColumns, [m, r])]),
        ...(side === 'left' ? [] : [tensorOf(right, [r, n])]),
      ],
    },
  };
}

function tensorOf(a: Matrix, shape: readonly number[]): RecordedTensor {
  return { shape, data: a.flat() };
}
