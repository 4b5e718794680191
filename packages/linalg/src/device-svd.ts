import type { Tensor2D } from '@tensorflow/tfjs-core';
import {
  abs,
  concat,
  div,
  eye,
  greater,
  matMul,
  max,
  mul,
  onesLike,
  reshape,
  slice,
  tidy,
  transpose,
  where,
} from '@tensorflow/tfjs-core';
import type { OrthogonalizedRows } from './jacobi-svd.js';
import { jacobiRows, jacobiSweeps } from './jacobi-svd.js';
import { orthonormalizeOnDevice } from './orthonormalize-device.js';
import type { Side } from './sides.js';
import { sided } from './sides.js';
import type { SubspaceRequest, SubspaceResult } from './subspace-request.js';

/**
 * Block subspace iteration as in randomized-host.ts, in tfjs ops only. The Rayleigh-Ritz step is one-sided Jacobi on the
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
export function exactOnDevice(g: Tensor2D, nearIsLeft: boolean, request: SubspaceRequest): SubspaceResult {
  const { rank, triplets } = request;
  return tidyResult(() => {
    const { unit, scaled } = normalize(g);
    const [m, n] = g.shape;
    const isTall = m >= n;
    const nearIsShort = isTall !== nearIsLeft;
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
