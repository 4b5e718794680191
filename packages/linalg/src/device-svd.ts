import {
  abs,
  add,
  concat,
  div,
  eye,
  gather,
  greater,
  greaterEqual,
  matMul,
  max,
  maximum,
  mul,
  onesLike,
  pad,
  reshape,
  slice,
  sqrt,
  square,
  sub,
  sum,
  type Tensor1D,
  type Tensor2D,
  tensor1d,
  tidy,
  topk,
  transpose,
  where,
} from '@tensorflow/tfjs-core';
import { type Side, type SubspaceRequest, type SubspaceResult, sided } from './decompositions.js';
import { orthonormalizeOnDevice } from './orthonormalize.js';

/**
 * Block subspace iteration as in `randomizedOnHost`, in tfjs ops only. The Rayleigh-Ritz step is one-sided Jacobi on the
 * rows of B, which takes (l - 1) times a dozen rounds of small operations.
 */
export function randomizedOnDevice(g: Tensor2D, side: Side, start: Tensor2D, request: SubspaceRequest): SubspaceResult {
  const { rank, iterations, align, triplets } = request;
  return tidyResult(() => {
    const { unit, scaled } = normalize(g);
    const operator = sided(scaled, side);
    let basis = start;
    let q = start;
    for (let i = 0; i < iterations; i++) {
      q = orthonormalizeOnDevice(operator.toFar(basis));
      const projected = operator.toNear(q);
      basis = i + 1 < iterations ? orthonormalizeOnDevice(projected) : projected;
    }
    const l = basis.shape[1];
    if (!align) return { near: orthonormalizeOnDevice(slice(basis, [0, 0], [-1, rank])), far: null, values: null };
    // With the identity appended the rotation itself comes along: it turns Q into the other side's vectors.
    const rows = transpose(basis);
    const tracked = triplets ? concat([rows, eye(l)], 1) : rows;
    const turned = jacobiRows(tracked, { sweeps: jacobiSweeps(l), measured: rows.shape[1] });
    const near = leadingColumns(turned.rows, 0, rows.shape[1], rank);
    if (!triplets) return { near, far: null, values: null };
    const rotation = transpose(slice(turned.rows, [0, rows.shape[1]], [rank, l]));
    return {
      near,
      far: orthonormalizeOnDevice(matMul(q, rotation)),
      values: singularValues(turned, rank, unit),
    };
  });
}

/** One-sided Jacobi on G itself, for a short side of at most some dozens. */
export function exactOnDevice(g: Tensor2D, side: Side, request: SubspaceRequest): SubspaceResult {
  const { rank, triplets } = request;
  return tidyResult(() => {
    const { unit, scaled } = normalize(g);
    const [m, n] = g.shape;
    const isTall = m >= n;
    const nearIsShort = isTall === (side === 'right');
    const [a, b] = isTall ? [n, m] : [m, n];
    const rows = isTall ? transpose(scaled) : scaled;
    const tracked = triplets || nearIsShort ? concat([rows, eye(a)], 1) : rows;
    const turned = jacobiRows(tracked, { sweeps: jacobiSweeps(a), measured: b });
    const long = triplets || !nearIsShort ? leadingColumns(turned.rows, 0, b, rank) : null;
    const short = triplets || nearIsShort ? leadingColumns(turned.rows, b, a, rank) : null;
    const [near, far] = nearIsShort ? [short!, long] : [long!, short];
    return { near, far, values: triplets ? singularValues(turned, rank, unit) : null };
  });
}

function singularValues(turned: OrthogonalizedRows, rank: number, unit: Tensor2D): Tensor2D {
  return mul(reshape(slice(turned.lengths, 0, rank), [rank, 1]) as Tensor2D, unit);
}

function leadingColumns(rows: Tensor2D, from: number, length: number, rank: number): Tensor2D {
  return orthonormalizeOnDevice(transpose(slice(rows, [0, from], [rank, length])));
}

/** G divided by its largest entry, so that squares stay inside float32. */
function normalize(g: Tensor2D): { unit: Tensor2D; scaled: Tensor2D } {
  const largest = reshape(max(abs(g)), [1, 1]) as Tensor2D;
  const unit = where(greater(largest, 0), largest, onesLike(largest)) as Tensor2D;
  return { unit, scaled: div(g, unit) };
}

function tidyResult(compute: () => SubspaceResult): SubspaceResult {
  let result: SubspaceResult | undefined;
  tidy(() => {
    result = compute();
    return [result.near, result.far, result.values].filter(t => t !== null);
  });
  return result!;
}

interface OrthogonalizedRows {
  /** The rotated rows by descending length; lengths are the singular values. */
  readonly rows: Tensor2D;
  readonly lengths: Tensor1D;
}

/**
 * One-sided Jacobi (Hestenes) in tfjs ops only: rotates pairs of rows of X until all are orthogonal, so that
 * W X = diag(sigma) V^T. All pairs of a round are disjoint and turn at once; a sweep of k - 1 rounds meets every pair
 * (the circle method of tournaments). No read-back: the number of sweeps is fixed by the caller, about 25 small
 * operations per round. Float32 accuracy is relative to each row, better than that of any Gram matrix.
 *
 * @param x k x L with numbers of at most about 1e15, so that squares are finite.
 * @param measured only the first `measured` columns define lengths and angles; the rest is rotated along. With the
 *   identity appended to X, that rest becomes W.
 */
function jacobiRows(x: Tensor2D, options: { sweeps: number; measured?: number }): OrthogonalizedRows {
  const [k, width] = x.shape;
  const { sweeps, measured = width } = options;
  return tidy(() => {
    const half = (k + 1) >> 1;
    let rows: Tensor2D = pad(x, [
      [0, 2 * half - k],
      [0, 0],
    ]);
    const next = tensor1d(circleStep(half), 'int32');
    for (let round = 0; k > 1 && round < sweeps * (2 * half - 1); round++) {
      const turned = tidy(() => gather(rotatePairs(rows, half, measured), next));
      rows.dispose();
      rows = turned;
    }
    const measuredRows = measured === width ? rows : slice(rows, [0, 0], [2 * half, measured]);
    const lengths2 = sum(square(measuredRows), 1) as Tensor1D;
    const { values, indices } = topk(lengths2, k);
    return { rows: gather(rows, indices as Tensor1D), lengths: sqrt(values) as Tensor1D };
  });
}

/** Where each position of the next round comes from: position 0 stays, the others move around the circle. */
function circleStep(half: number): Int32Array {
  const from = new Int32Array(2 * half);
  for (let i = 1; i < half; i++) {
    from[i] = i === 1 ? half : i - 1;
    from[half + i - 1] = half + i;
  }
  from[2 * half - 1] = half - 1;
  return half === 1 ? Int32Array.of(0, 1) : from;
}

/** Row i meets row half + i; tan of the angle is the smaller root of t^2 + 2 t (|b|^2 - |a|^2) / (2 a.b) = 1. */
function rotatePairs(rows: Tensor2D, half: number, measured: number): Tensor2D {
  const width = rows.shape[1];
  const a: Tensor2D = slice(rows, [0, 0], [half, width]);
  const b: Tensor2D = slice(rows, [half, 0], [half, width]);
  const ma = measured === width ? a : slice(a, [0, 0], [half, measured]);
  const mb = measured === width ? b : slice(b, [0, 0], [half, measured]);
  const difference = sub(sum(square(mb), 1, true), sum(square(ma), 1, true));
  const twice = mul(sum(mul(ma, mb), 1, true), 2);
  const root = sqrt(add(square(difference), square(twice)));
  const magnitude = maximum(add(abs(difference), root), 1e-37);
  const t = div(where(greaterEqual(difference, 0), twice, sub(0, twice)), magnitude);
  const cosine = div(1, sqrt(add(square(t), 1)));
  const sine = mul(t, cosine);
  const first: Tensor2D = sub(mul(a, cosine), mul(b, sine));
  const second: Tensor2D = add(mul(a, sine), mul(b, cosine));
  return concat([first, second], 0);
}

/** Enough sweeps for float32 convergence: quadratic at the end, slowly growing with the number of rows. */
function jacobiSweeps(k: number): number {
  return 5 + Math.ceil(Math.log2(Math.max(k, 2)) / 1.5);
}
