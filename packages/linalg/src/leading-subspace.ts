import { backendTraits } from '@frugaljs/core';
import {
  abs,
  concat,
  div,
  greater,
  max,
  mul,
  onesLike,
  reshape,
  type Scalar,
  slice,
  sqrt,
  square,
  sum,
  type Tensor1D,
  type Tensor2D,
  tensor2d,
  tidy,
  where,
} from '@tensorflow/tfjs-core';
import {
  exactNatively,
  nativeDecompositions,
  type Side,
  type SubspaceRequest,
  type SubspaceResult,
  sided,
} from './decompositions.js';
import { exactOnDevice, randomizedOnDevice } from './device-svd.js';
import { LinalgArgumentError, requireCount, requireFinite, requireMatrix } from './errors.js';
import { exactOnHost, fullGramOnHost, randomizedOnHost } from './host-svd.js';
import { counterNoise } from './orthonormalize.js';

export interface SubspaceOptions {
  /** r: how many singular vectors; clamped to min(m, n). 0 gives an empty basis. */
  readonly rank: number;
  /**
   * 'exact': a full decomposition of the shorter side a = min(m, n): the backend's own in float32 where it has one, else
   * on the host in float64 up to a = 512 and beyond that from a float32 Gram matrix. 'randomized': subspace iteration; on
   * the host, a rank of three quarters of a or more takes the whole Gram matrix here too. 'auto' (default): exact where it
   * costs at most about 20 ms on the host (a <= 128), or on the device for a <= 32.
   */
  readonly method?: 'auto' | 'exact' | 'randomized';
  /**
   * A previous or random basis to start from, n x k for right vectors, m x k for left ones; missing columns are filled
   * with fixed noise, surplus ones ignored. Default: fixed noise, equal in every call. The exact method needs none.
   */
  readonly start?: Tensor2D;
  /** Subspace iterations, two products with G each. Default 1 with `start`, else 2. */
  readonly iterations?: number;
  /** Extra columns carried along and dropped at the end. Default 8 (0 for rank >= 64 with `start`, and without `align`). */
  readonly oversampling?: number;
  /**
   * true: the columns are the (approximate) singular vectors in descending order. false: any orthonormal basis of the
   * subspace, cheaper. Default true; on the device path only for at most 64 columns, since Jacobi gets slow there.
   */
  readonly align?: boolean;
  /** true: factor small matrices on the host. false: tfjs ops only. Default: where the trait `refreshesOn` says. */
  readonly host?: boolean;
}

export interface SingularTriplets {
  /** m x r. */
  readonly left: Tensor2D;
  /** r singular values, descending. */
  readonly values: Tensor1D;
  /** n x r. */
  readonly right: Tensor2D;
}

const DEVICE_ALIGN_LIMIT = 64;
const DEVICE_EXACT_LIMIT = 32;
/** Longest shorter side that goes to the host, with `method` 'auto' and 'exact'. */
const HOST_EXACT_SIDE = 128;
const HOST_EXACT_SIDE_LIMIT = 512;
/** Multiply-adds of the exact host path; about 20 ms with the WebAssembly kernels. */
const HOST_EXACT_WORK = 2.5e7;

/**
 * An orthonormal basis of the span of the top-r right (n x r) or left (m x r) singular vectors of an m x n matrix G, as
 * used by GaLore-type projectors (arXiv 2403.03507): ||G - G V V^T|| is minimal for the exact vectors (Eckart-Young).
 *
 * Vectors are defined up to sign, and up to rotation where singular values coincide; directions that G does not have
 * (rank(G) < r, a zero matrix) are filled so that the basis is orthonormal. Equal inputs give equal results. The
 * returned tensor owns exactly its own bytes.
 *
 * @throws NonFiniteMatrixError on the host path if G has NaN or Infinity; on the device path they pass through.
 * @throws LinalgArgumentError naming the option.
 */
export function leadingSubspace(g: Tensor2D, side: Side, options: SubspaceOptions): Tensor2D {
  return compute(g, side, options, false).near;
}

/**
 * The r leading singular triplets, G ~ left diag(values) right^T, with matching signs: left^T G right = diag(values).
 * Options and errors as for `leadingSubspace` (`start` is n x k; `align` is always on).
 */
export function leadingSingularTriplets(g: Tensor2D, options: Omit<SubspaceOptions, 'align'>): SingularTriplets {
  const { near, far, values } = compute(g, 'right', { ...options, align: true }, true);
  const flat = tidy(() => reshape(values!, [values!.shape[0]]) as Tensor1D);
  values!.dispose();
  return { left: far!, values: flat, right: near };
}

function compute(g: Tensor2D, side: Side, options: SubspaceOptions, triplets: boolean): SubspaceResult {
  requireMatrix('g', g);
  const { host = backendTraits().refreshesOn === 'host', method = 'auto', start } = options;
  const [m, n] = g.shape;
  const short = Math.min(m, n);
  const near = side === 'right' ? n : m;
  requireCount('rank', options.rank);
  if (start) requireStart(start, near);
  const rank = Math.min(options.rank, short);
  if (rank === 0) return emptyResult(near, side === 'right' ? m : n, triplets);

  const { iterations = start ? 1 : 2 } = options;
  requireCount('iterations', iterations);
  if (iterations === 0) throw new LinalgArgumentError('iterations', '0', 'at least 1');
  const align = options.align ?? (host || Math.min(rank + 8, short) <= DEVICE_ALIGN_LIMIT);
  const { oversampling = !align || (start && rank >= 64) ? 0 : 8 } = options;
  requireCount('oversampling', oversampling);
  const columns = Math.min(rank + oversampling, short);

  const request: SubspaceRequest = { rank, iterations, align, triplets };
  const exact = method === 'exact' || (method === 'auto' && isCheapToSolve(g, rank, host));
  const solve = (matrix: Tensor2D): SubspaceResult => {
    const native = exact ? nativeDecompositions() : null;
    if (native !== null) return exactNatively(native, matrix, side, request);
    if (exact && !host) return exactOnDevice(matrix, side, request);
    if (exact && short <= HOST_EXACT_SIDE_LIMIT) return exactOnHost(matrix, side, request);
    if (host && (exact || 4 * columns >= 3 * short)) return fullGramOnHost(matrix, side, request);

    const basis = startingBasis(start, near, columns);
    try {
      return host ? randomizedOnHost(matrix, side, basis, request) : randomizedOnDevice(matrix, side, basis, request);
    } finally {
      if (basis !== start) basis.dispose();
    }
  };
  // The algorithms of the device divide by the largest entry, which they need not read.
  return host ? inRange(g, solve) : solve(g);
}

/** Numbers between 1 / FAR and FAR have products, and products of products, that float32 and float64 hold. */
const FAR = 2 ** 96;

/**
 * Solves for a matrix whose largest entry is far from 1 after multiplying it by a power of two, which changes no digit:
 * its vectors are the same, and neither its squares nor the reciprocals of its singular values under- or overflow.
 *
 * @throws NonFiniteMatrixError if g has NaN or Infinity.
 */
function inRange(g: Tensor2D, solve: (matrix: Tensor2D) => SubspaceResult): SubspaceResult {
  const largest = requireFinite('g', g);
  if (largest === 0 || (largest >= 1 / FAR && largest <= FAR)) return solve(g);
  const factor = largest < 1 ? FAR : 1 / FAR;
  const scaled: Tensor2D = mul(g, factor);
  try {
    const { near, far, values } = solve(scaled);
    if (values === null) return { near, far, values };
    const unscaled: Tensor2D = mul(values, 1 / factor);
    values.dispose();
    return { near, far, values: unscaled };
  } finally {
    scaled.dispose();
  }
}

function isCheapToSolve(g: Tensor2D, rank: number, host: boolean): boolean {
  const [m, n] = g.shape;
  const short = Math.min(m, n);
  if (!host) return short <= DEVICE_EXACT_LIMIT;
  return short <= HOST_EXACT_SIDE && short * m * n * (0.5 + rank / short) + 3 * short ** 3 <= HOST_EXACT_WORK;
}

function startingBasis(start: Tensor2D | undefined, near: number, columns: number): Tensor2D {
  if (!start) return tensor2d(counterNoise(near * columns, near), [near, columns]);
  const given = start.shape[1];
  if (given === columns) return start;
  if (given > columns) return slice(start, [0, 0], [near, columns]);
  const missing = columns - given;
  return tidy(() => concat([start, tensor2d(counterNoise(near * missing, near), [near, missing])], 1));
}

function requireStart(start: Tensor2D, near: number): void {
  requireMatrix('start', start);
  if (start.shape[0] !== near) {
    throw new LinalgArgumentError(
      'start',
      `${start.shape[0]} rows`,
      `${near} rows, the length of the singular vectors`,
    );
  }
}

function emptyResult(near: number, far: number, triplets: boolean): SubspaceResult {
  return {
    near: tensor2d([], [near, 0]),
    far: triplets ? tensor2d([], [far, 0]) : null,
    values: triplets ? tensor2d([], [0, 1]) : null,
  };
}

export interface SpectralNormOptions {
  /** Power iterations, two matrix-vector products each; default 20. */
  readonly iterations?: number;
}

/**
 * Estimates the largest singular value of G by power iteration on G^T G from a fixed start: always a lower bound (up to
 * rounding), with a relative error of about (sigma_2 / sigma_1)^(4 iterations). A scalar tensor; nothing is read back.
 */
export function spectralNorm(g: Tensor2D, options: SpectralNormOptions = {}): Scalar {
  const { iterations = 20 } = options;
  requireMatrix('g', g);
  requireCount('iterations', iterations);
  return tidy(() => {
    const n = g.shape[1];
    const unit = orOne(max(abs(g)) as Scalar);
    const operator = sided(div(g, unit), 'right');
    let v = normalized(tensor2d(counterNoise(n, n), [n, 1]));
    for (let i = 0; i < iterations; i++) {
      const next = tidy(() => normalized(operator.toNear(operator.toFar(v))));
      v.dispose();
      v = next;
    }
    return mul(sqrt(sum(square(operator.toFar(v)))), unit) as Scalar;
  });
}

function normalized(v: Tensor2D): Tensor2D {
  return div(v, orOne(sqrt(sum(square(v))) as Scalar));
}

/** x, or 1 where x is 0. */
function orOne(x: Scalar): Scalar {
  return reshape(where(greater(x, 0), x, onesLike(x)), []) as Scalar;
}
