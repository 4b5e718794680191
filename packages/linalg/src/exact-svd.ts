import type { Tensor2D } from '@tensorflow/tfjs-core';
import { NonFiniteMatrixError } from './errors.js';
import { orthonormalizeRows } from './gram-schmidt.js';
import { hostKernels } from './host-workspace.js';
import { WORKSPACE_START } from './row-kernels.js';
import { symmetricEigen } from './symmetric-eigen.js';

/** Vectors as rows, in float64: row i belongs to values[i]; descending. */
export interface HostSingularVectors {
  readonly values: Float64Array;
  /** rank x m, or null if not asked for. */
  readonly left: Float64Array | null;
  /** rank x n, or null if not asked for. */
  readonly right: Float64Array | null;
}

/** Below this fraction of the largest singular value, v = G^T u / sigma is no longer orthogonal to its peers by itself. */
const ORTHOGONAL_BY_ITSELF = 1e-4;

/**
 * The leading singular vectors of a small float32 matrix, in float64 on the host: the Gram matrix of the shorter side
 * (float32 products are exact in float64), its eigenvectors, and the other side as G^T u / sigma. Singular vectors are
 * accurate to about 1e-16 sigma_1^2 / (gap of the squared singular values), so far below the float32 rounding of G for
 * every singular value that float32 can resolve. a^2 b / 2 + 2.9 a^3 multiply-adds for sides a <= b.
 *
 * @throws NonFiniteMatrixError if g contains NaN or Infinity.
 */
export function exactSvd(
  g: Tensor2D,
  rank: number,
  want: { left: boolean; right: boolean },
  parameter: string,
): HostSingularVectors {
  const [m, n] = g.shape;
  const tall = m >= n;
  const [a, b] = tall ? [n, m] : [m, n];
  const gram = shortSideGram(g, tall, a, b);
  for (let i = 0; i < a; i++) if (!Number.isFinite(gram[i * a + i])) throw new NonFiniteMatrixError(parameter, g.shape);
  const eigen = symmetricEigen(gram, a);
  const values = eigen.values.slice(0, rank).map(value => Math.sqrt(Math.max(value, 0)));
  const short = eigen.vectors.slice(0, rank * a);
  const long = (tall ? want.left : want.right) ? longSide(g, tall, a, b, rank, short, values) : null;
  return tall ? { values, left: long, right: short } : { values, left: short, right: long };
}

/** Rows of the workspace: the vectors of length b along the short side, padded to a multiple of four. */
function loadShortSide(mem: Float64Array, data: ArrayLike<number>, tall: boolean, a: number, b: number): void {
  for (let i = 0; i < a; i++) {
    const start = WORKSPACE_START + i * b;
    for (let k = 0; k < b; k++) mem[start + k] = tall ? data[k * a + i]! : data[i * b + k]!;
  }
}

function shortSideGram(g: Tensor2D, tall: boolean, a: number, b: number): Float64Array {
  const kernels = hostKernels();
  const padded = a + (-a & 3);
  const mem = kernels.reserve(WORKSPACE_START + padded * b);
  mem.fill(0, WORKSPACE_START + a * b, WORKSPACE_START + padded * b);
  loadShortSide(mem, g.dataSync(), tall, a, b);
  const gram = new Float64Array(a * a);
  for (let i = 0; i < a; i++) {
    for (let j = 0; j <= i; j += 4) {
      kernels.dot4(WORKSPACE_START + j * b, b, WORKSPACE_START + i * b, b);
      for (let k = j; k < Math.min(j + 4, i + 1); k++) gram[i * a + k] = mem[k - j]!;
    }
  }
  return gram;
}

function longSide(
  g: Tensor2D,
  tall: boolean,
  a: number,
  b: number,
  rank: number,
  short: Float64Array,
  values: Float64Array,
): Float64Array {
  const kernels = hostKernels();
  const padded = a + (-a & 3);
  const out = WORKSPACE_START + padded * b;
  const mem = kernels.reserve(out + b);
  mem.fill(0, WORKSPACE_START + a * b, out);
  loadShortSide(mem, g.dataSync(), tall, a, b);
  const long = new Float64Array(rank * b);
  for (let i = 0; i < rank; i++) {
    mem.fill(0, out, out + b);
    const u = i * a;
    for (let k = 0; k < a; k += 4) {
      const at = (offset: number): number => (k + offset < a ? -short[u + k + offset]! : 0);
      kernels.gather4(out, WORKSPACE_START + k * b, b, b, at(0), at(1), at(2), at(3));
    }
    const scale = values[i]! > 0 ? 1 / values[i]! : 0;
    for (let k = 0; k < b; k++) long[i * b + k] = mem[out + k]! * scale;
  }
  const limit = ORTHOGONAL_BY_ITSELF * values[0]!;
  const first = values.findIndex(value => !(value > limit));
  if (first >= 0) orthonormalizeRows(long, rank, b, first);
  return long;
}
