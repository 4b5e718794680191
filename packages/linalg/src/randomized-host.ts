import type { Tensor2D } from '@tensorflow/tfjs-core';
import { matMul, slice, tensor2d, tidy, transpose } from '@tensorflow/tfjs-core';
import { orthonormalizeOnHost } from './orthonormalize-host.js';
import type { RitzPairs } from './rayleigh-ritz.js';
import { columnsFromRows, longRitzVectors, ritzPairs } from './rayleigh-ritz.js';
import type { SidedMatrix } from './sides.js';
import type { SubspaceRequest, SubspaceResult } from './subspace-request.js';

/**
 * Block subspace iteration with a Rayleigh-Ritz step at its end (Halko, Martinsson and Tropp, SIAM Review 53, 2011,
 * algorithms 4.4 and 5.1). Long products run on the device; l x l factorizations (l: columns of the start) on the host
 * in float64. One iteration is Q = orth(G S), B = Q^T G; S for the next one is orth(B^T).
 */
export function randomizedOnHost(
  g: SidedMatrix,
  start: Tensor2D,
  request: SubspaceRequest,
  parameter: string,
): SubspaceResult {
  let basis = start;
  for (let iteration = 1; ; iteration++) {
    const q = orthonormalizeAndFree(g.toFar(basis), parameter, true);
    if (basis !== start) basis.dispose();
    try {
      const projected = g.toNear(q);
      if (iteration === request.iterations) return conclude(projected, q, request, parameter);
      basis = orthonormalizeAndFree(projected, parameter, true);
    } finally {
      q.dispose();
    }
  }
}

/** From B^T (near x l) and Q (far x l); disposes B^T. */
function conclude(projected: Tensor2D, q: Tensor2D, request: SubspaceRequest, parameter: string): SubspaceResult {
  const { rank, align, triplets } = request;
  try {
    if (!align) {
      const columns: Tensor2D = slice(projected, [0, 0], [-1, rank]);
      return { near: orthonormalizeAndFree(columns, parameter, false), far: null, values: null };
    }
    const pairs = ritzPairs(projected, parameter);
    const near = longRitzVectors(projected, pairs, rank, parameter);
    if (!triplets) return { near, far: null, values: null };
    const far: Tensor2D = tidy(() => matMul(q, columnsFromRows(pairs.vectors, rank, q.shape[1])));
    return { near, far: orthonormalizeAndFree(far, parameter, false), values: singularValues(pairs, rank) };
  } finally {
    projected.dispose();
  }
}

/**
 * The same when the rank is close to the shorter side a, so that a subspace of dimension a needs no iteration: the
 * eigenvectors of G's own a x a Gram matrix.
 */
export function fullGramOnHost(
  g: Tensor2D,
  nearIsLeft: boolean,
  request: SubspaceRequest,
  parameter: string,
): SubspaceResult {
  const { rank, triplets } = request;
  const [m, n] = g.shape;
  const isTall = m >= n;
  const nearIsShort = isTall !== nearIsLeft;
  const tall = isTall ? g : tidy(() => transpose(g));
  try {
    const pairs = ritzPairs(tall, parameter);
    const long = triplets || !nearIsShort ? longRitzVectors(tall, pairs, rank, parameter) : null;
    const short = triplets || nearIsShort ? columnsFromRows(pairs.vectors, rank, Math.min(m, n)) : null;
    const [near, far] = nearIsShort ? [short!, long] : [long!, short];
    return { near, far, values: triplets ? singularValues(pairs, rank) : null };
  } finally {
    if (tall !== g) tall.dispose();
  }
}

function singularValues(pairs: RitzPairs, rank: number): Tensor2D {
  return tensor2d(Float32Array.from(pairs.values.subarray(0, rank)), [rank, 1]);
}

function orthonormalizeAndFree(x: Tensor2D, parameter: string, loose: boolean): Tensor2D {
  try {
    return orthonormalizeOnHost(x, { parameter, loose });
  } finally {
    x.dispose();
  }
}
