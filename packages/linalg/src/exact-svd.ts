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
  const source: ShortSide = { data: g.dataSync(), tall, a, b };
  const gram = shortSideGram(source);
  for (let i = 0; i < a; i++) if (!Number.isFinite(gram[i * a + i])) throw new NonFiniteMatrixError(parameter, g.shape);
  const eigen = symmetricEigen(gram, a);
  const values = eigen.values.slice(0, rank).map(value => Math.sqrt(Math.max(value, 0)));
  const short = eigen.vectors.slice(0, rank * a);
  const long = (tall ? want.left : want.right) ? longSide(source, rank, short, values) : null;
  return tall ? { values, left: long, right: short } : { values, left: short, right: long };
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
      const scale = values[i]! > 0 ? -1 / values[i]! : 0;
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
