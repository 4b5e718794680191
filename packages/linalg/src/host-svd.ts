import { div, matMul, slice, type Tensor2D, tensor2d, tidy, transpose } from '@tensorflow/tfjs-core';
import { type Side, type SubspaceRequest, type SubspaceResult, sided } from './decompositions.js';
import { NonFiniteMatrixError, requireFinite } from './errors.js';
import { orthonormalizeOnHost, orthonormalizeRows } from './orthonormalize.js';
import { hostKernels, WORKSPACE_START } from './row-kernels.js';
import { symmetricEigen } from './symmetric-eigen.js';

/** What an error message calls the matrix. */
const PARAMETER = 'g';

/**
 * The leading singular vectors of a small float32 matrix, in float64 on the host: the Gram matrix of the shorter side
 * (float32 products are exact in float64), its eigenvectors, and the other side as G^T u / sigma. Singular vectors are
 * accurate to about 1e-16 sigma_1^2 / (gap of the squared singular values), so far below the float32 rounding of G for
 * every singular value that float32 can resolve. a^2 b / 2 + 2.9 a^3 multiply-adds for sides a <= b.
 *
 * @throws NonFiniteMatrixError if g contains NaN or Infinity.
 */
export function exactOnHost(g: Tensor2D, side: Side, { rank, triplets }: SubspaceRequest): SubspaceResult {
  const [m, n] = g.shape;
  const tall = m >= n;
  const [a, b] = tall ? [n, m] : [m, n];
  const source: ShortSide = { data: g.dataSync(), tall, a, b };
  const gram = shortSideGram(source);
  for (let i = 0; i < a; i++) if (!Number.isFinite(gram[i * a + i])) throw new NonFiniteMatrixError(PARAMETER, g.shape);
  const eigen = symmetricEigen(gram, a);
  const values = eigen.values.slice(0, rank).map(value => Math.sqrt(Math.max(value, 0)));
  const short = eigen.vectors.slice(0, rank * a);
  const nearIsShort = tall === (side === 'right');
  const long = triplets || !nearIsShort ? longSide(source, rank, short, values) : null;
  const near = nearIsShort ? columnsFromRows(short, rank, a) : columnsFromRows(long!, rank, b);
  if (!triplets) return { near, far: null, values: null };
  const far = nearIsShort ? columnsFromRows(long!, rank, b) : columnsFromRows(short, rank, a);
  return { near, far, values: singularValues(values, rank) };
}

/** The matrix as a vectors of length b: the columns of a tall one, the rows of a wide one. */
interface ShortSide {
  readonly data: ArrayLike<number>;
  readonly tall: boolean;
  readonly a: number;
  readonly b: number;
}

/** The long side is walked in pieces of this length, which bounds the workspace to 16 KiB per row. */
const PIECE = 2048;

/**
 * Columns from `start` to `start + width` of the short side's vectors, as rows of the workspace. Their number is
 * padded with zeros to a multiple of four.
 */
function loadPiece(mem: Float64Array, g: ShortSide, start: number, width: number): void {
  const { data, tall, a, b } = g;
  mem.fill(0, WORKSPACE_START + a * width, WORKSPACE_START + padded(a) * width);
  for (let i = 0; i < a; i++) {
    const to = WORKSPACE_START + i * width;
    for (let k = 0; k < width; k++) mem[to + k] = tall ? data[(start + k) * a + i]! : data[i * b + start + k]!;
  }
}

function shortSideGram(g: ShortSide): Float64Array {
  const { a, b } = g;
  const kernels = hostKernels();
  const gram = new Float64Array(a * a);
  for (let start = 0; start < b; start += PIECE) {
    const width = Math.min(PIECE, b - start);
    const mem = kernels.reserve(WORKSPACE_START + padded(a) * width);
    loadPiece(mem, g, start, width);
    for (let i = 0; i < a; i++) {
      for (let j = 0; j <= i; j += 4) {
        kernels.dot4(WORKSPACE_START + j * width, width, WORKSPACE_START + i * width, width);
        for (let k = j; k < Math.min(j + 4, i + 1); k++) gram[i * a + k]! += mem[k - j]!;
      }
    }
  }
  return gram;
}

/** Below this fraction of the largest singular value, v = G^T u / sigma is no longer orthogonal to its peers by itself. */
const ORTHOGONAL_BY_ITSELF = 1e-4;

/** No float32 matrix has so small a singular value: what is below is rounding, and its reciprocal may have no square. */
const NO_VALUE = 1e-100;

/** Rows G^T u / sigma of length b, orthonormal. */
function longSide(g: ShortSide, rank: number, short: Float64Array, values: Float64Array): Float64Array {
  const { a, b } = g;
  const kernels = hostKernels();
  const long = new Float64Array(rank * b);
  for (let start = 0; start < b; start += PIECE) {
    const width = Math.min(PIECE, b - start);
    const out = WORKSPACE_START + padded(a) * width;
    const mem = kernels.reserve(out + width);
    loadPiece(mem, g, start, width);
    for (let i = 0; i < rank; i++) {
      const scale = values[i]! > NO_VALUE ? -1 / values[i]! : 0;
      const coefficient = (k: number): number => (k < a ? short[i * a + k]! * scale : 0);
      mem.fill(0, out, out + width);
      for (let k = 0; k < a; k += 4) {
        const [g0, g1, g2, g3] = [coefficient(k), coefficient(k + 1), coefficient(k + 2), coefficient(k + 3)];
        kernels.gather4(out, WORKSPACE_START + k * width, width, width, g0, g1, g2, g3);
      }
      long.set(mem.subarray(out, out + width), i * b + start);
    }
  }
  const limit = ORTHOGONAL_BY_ITSELF * values[0]!;
  const first = values.findIndex(value => !(value > limit));
  if (first >= 0) orthonormalizeRows(long, rank, b, first);
  return long;
}

function padded(count: number): number {
  return count + (-count & 3);
}

/**
 * Block subspace iteration with a Rayleigh-Ritz step at its end (Halko, Martinsson and Tropp, SIAM Review 53, 2011,
 * algorithms 4.4 and 5.1). Long products run on the device; l x l factorizations (l: columns of the start) on the host
 * in float64. One iteration is Q = orth(G S), B = Q^T G; S for the next one is orth(B^T).
 */
export function randomizedOnHost(g: Tensor2D, side: Side, start: Tensor2D, request: SubspaceRequest): SubspaceResult {
  const operator = sided(g, side);
  let basis = start;
  for (let iteration = 1; ; iteration++) {
    const q = orthonormalizeAndFree(operator.toFar(basis), true);
    if (basis !== start) basis.dispose();
    try {
      const projected = operator.toNear(q);
      if (iteration === request.iterations) return conclude(projected, q, request);
      basis = orthonormalizeAndFree(projected, true);
    } finally {
      q.dispose();
    }
  }
}

/**
 * The same when the rank is close to the shorter side a, so that a subspace of dimension a needs no iteration: the
 * eigenvectors of G's own a x a Gram matrix.
 */
export function fullGramOnHost(g: Tensor2D, side: Side, { rank, triplets }: SubspaceRequest): SubspaceResult {
  const [m, n] = g.shape;
  const isTall = m >= n;
  const nearIsShort = isTall === (side === 'right');
  const tall = isTall ? g : tidy(() => transpose(g));
  try {
    const pairs = ritzPairs(tall);
    const long = triplets || !nearIsShort ? longRitzVectors(tall, pairs, rank) : null;
    const short = triplets || nearIsShort ? columnsFromRows(pairs.vectors, rank, Math.min(m, n)) : null;
    const [near, far] = nearIsShort ? [short!, long] : [long!, short];
    return { near, far, values: triplets ? singularValues(pairs.values, rank) : null };
  } finally {
    if (tall !== g) tall.dispose();
  }
}

/** From B^T (near x l) and Q (far x l); disposes B^T. */
function conclude(projected: Tensor2D, q: Tensor2D, request: SubspaceRequest): SubspaceResult {
  const { rank, align, triplets } = request;
  try {
    if (!align) {
      const columns: Tensor2D = slice(projected, [0, 0], [-1, rank]);
      return { near: orthonormalizeAndFree(columns, false), far: null, values: null };
    }
    const pairs = ritzPairs(projected);
    const near = longRitzVectors(projected, pairs, rank);
    if (!triplets) return { near, far: null, values: null };
    const far: Tensor2D = tidy(() => matMul(q, columnsFromRows(pairs.vectors, rank, q.shape[1])));
    return { near, far: orthonormalizeAndFree(far, false), values: singularValues(pairs.values, rank) };
  } finally {
    projected.dispose();
  }
}

/** The Gram matrix is a float32 product: finer eigenvalues than this would only resolve its rounding. */
const EIGEN_TOLERANCE = 1e-9;
/** The Ritz vectors of a gradient's leading subspace meet this as they come, which saves a pass. */
const RITZ_ACCURACY = 5e-6;

/** Singular values of B (descending) and its singular vectors of the l-dimensional side, as rows. */
interface RitzPairs {
  readonly values: Float64Array;
  /** l x l: row i belongs to values[i]. */
  readonly vectors: Float64Array;
}

/**
 * Eigenvectors of B^T B for a tall b x l matrix: the Gram matrix is formed on the device in float32 and diagonalized on
 * the host. Singular values below about 3e-4 of the largest are lost in the rounding of the Gram matrix.
 *
 * @throws NonFiniteMatrixError if it has NaN or Infinity.
 */
function ritzPairs(tall: Tensor2D): RitzPairs {
  const l = tall.shape[1];
  const largest = requireFinite(PARAMETER, tall);
  // Keep squares inside float32.
  const unit = largest === 0 || (largest > 1e-8 && largest < 1e8) ? 1 : largest;
  const product = tidy(() => {
    const scaled = unit === 1 ? tall : div<Tensor2D>(tall, unit);
    return matMul(transpose(scaled), scaled);
  });
  const gram = product.dataSync<'float32'>();
  product.dispose();
  for (let i = 0; i < l; i++)
    if (!Number.isFinite(gram[i * l + i])) throw new NonFiniteMatrixError(PARAMETER, tall.shape);
  const { values, vectors } = symmetricEigen(gram, l, { tolerance: EIGEN_TOLERANCE });
  return { values: values.map(value => unit * Math.sqrt(Math.max(value, 0))), vectors };
}

/**
 * The singular vectors of the long side, B w_i / sigma_i, as b x rank columns. Orthonormalized from the largest down,
 * which takes the rounding errors along large directions out of the small ones; those without a direction are replaced.
 */
function longRitzVectors(tall: Tensor2D, pairs: RitzPairs, rank: number): Tensor2D {
  const { values, vectors } = pairs;
  const l = values.length;
  const floor = 1e-4 * values[0]!;
  const coefficients = new Float32Array(l * rank);
  for (let i = 0; i < rank; i++) {
    const scale = floor > 0 ? 1 / Math.max(values[i]!, floor) : 1;
    for (let k = 0; k < l; k++) coefficients[k * rank + i] = vectors[i * l + k]! * scale;
  }
  const columns: Tensor2D = tidy(() => matMul(tall, tensor2d(coefficients, [l, rank])));
  try {
    return orthonormalizeOnHost(columns, { parameter: PARAMETER, accuracy: RITZ_ACCURACY });
  } finally {
    columns.dispose();
  }
}

function singularValues(values: Float64Array, rank: number): Tensor2D {
  return tensor2d(Float32Array.from(values.subarray(0, rank)), [rank, 1]);
}

function orthonormalizeAndFree(x: Tensor2D, loose: boolean): Tensor2D {
  try {
    return orthonormalizeOnHost(x, { parameter: PARAMETER, loose });
  } finally {
    x.dispose();
  }
}

/** The first `rank` rows as columns of a float32 tensor. */
function columnsFromRows(rows: Float64Array, rank: number, length: number): Tensor2D {
  const out = new Float32Array(length * rank);
  for (let i = 0; i < rank; i++) for (let k = 0; k < length; k++) out[k * rank + i] = rows[i * length + k]!;
  return tensor2d(out, [length, rank]);
}
