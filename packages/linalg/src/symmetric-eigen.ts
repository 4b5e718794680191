import { hostKernels, type RowKernels, WORKSPACE_START } from './row-kernels.js';

export interface SymmetricEigen {
  /** Eigenvalues in descending order. */
  readonly values: Float64Array;
  /** Orthonormal eigenvectors, one per row: row i belongs to values[i]. */
  readonly vectors: Float64Array;
}

export interface SymmetricEigenOptions {
  /**
   * An off-diagonal element counts as zero below `tolerance` times the norm; the eigenvalues then have about this
   * relative error. Default 2^-52. A coarser one saves a quarter of the time when the matrix itself is only a float32
   * product.
   */
  readonly tolerance?: number;
  /** The inner loops; default: WebAssembly SIMD, or JavaScript where that is missing. */
  readonly kernels?: RowKernels;
}

/**
 * A = V^T diag(values) V for a symmetric matrix, on the host in float64: Householder reduction to tridiagonal form,
 * then QL with implicit shifts (Golub and Van Loan, Matrix Computations, section 8.3; the shift is Wilkinson's).
 * About 2.9 n^3 multiply-adds. The rotations act on rows, so every inner loop is contiguous.
 *
 * @param a n x n, row-major; only the lower triangle is read. Must be finite.
 * @throws Error if an eigenvalue needs more than 60 sweeps, which no finite matrix has been seen to do.
 */
export function symmetricEigen(a: ArrayLike<number>, n: number, options: SymmetricEigenOptions = {}): SymmetricEigen {
  const { tolerance = 2 ** -52, kernels = hostKernels() } = options;
  // Rows of Z are processed in fours, so Z has spare rows that stay zero.
  const zRows = n + 3;
  const aStart = WORKSPACE_START;
  const zStart = aStart + n * n;
  const pStart = zStart + zRows * n;
  const mem = kernels.reserve(pStart + 2 * n);
  const unit = unitOf(a, n);
  for (let i = 0; i < n; i++) for (let j = 0; j <= i; j++) mem[aStart + i * n + j] = a[i * n + j]! / unit;

  const diagonal = new Float64Array(n);
  const offDiagonal = new Float64Array(n);
  const heights = tridiagonalize(kernels, mem, aStart, pStart, n, diagonal, offDiagonal);
  accumulateReflections(kernels, mem, aStart, zStart, zRows, n, heights);
  implicitQl(kernels, mem, zStart, n, diagonal, offDiagonal, tolerance);

  const order = Array.from(diagonal.keys()).sort((x, y) => diagonal[y]! - diagonal[x]! || x - y);
  const values = new Float64Array(n);
  const vectors = new Float64Array(n * n);
  order.forEach((from, to) => {
    values[to] = diagonal[from]! * unit;
    vectors.set(mem.subarray(zStart + from * n, zStart + (from + 1) * n), to * n);
  });
  return { values, vectors };
}

/** Between this and its reciprocal, the squares of squares of the leading entries are in the range of float64. */
const FAR = 2 ** 200;

/** 1 for a matrix in that range, else a power of two close to its largest entry: dividing by one changes no digit. */
function unitOf(a: ArrayLike<number>, n: number): number {
  let largest = 0;
  for (let i = 0; i < n; i++) for (let j = 0; j <= i; j++) largest = Math.max(largest, Math.abs(a[i * n + j]!));
  if (largest === 0 || (largest >= 1 / FAR && largest <= FAR)) return 1;
  return 2 ** Math.max(-1000, Math.min(1000, Math.floor(Math.log2(largest))));
}

/**
 * Below this a sum of squares has lost digits to underflow, and a reflection made of it would not be orthogonal. The
 * entries are next to nothing beside the largest; in a matrix of low rank rounding errors of rounding errors are.
 */
const NOTHING = 2 ** -960;
/** The square of a smaller number has lost digits. */
const SQUARE_UNDERFLOWS = 2 ** -500;

/**
 * Q^T A Q = T. Row i of A keeps the Householder vector u_i in its first i elements; returned are the h_i = |u_i|^2 / 2
 * (0: no reflection). offDiagonal[i] couples i-1 and i.
 */
function tridiagonalize(
  kernels: RowKernels,
  mem: Float64Array,
  aStart: number,
  pStart: number,
  n: number,
  diagonal: Float64Array,
  offDiagonal: Float64Array,
): Float64Array {
  const heights = new Float64Array(n);
  const qStart = pStart + n;
  for (let i = n - 1; i >= 1; i--) {
    const u = aStart + i * n;
    diagonal[i] = mem[u + i]!;
    let tail = 0;
    for (let k = 0; k < i - 1; k++) tail += mem[u + k]! * mem[u + k]!;
    const pivot = mem[u + i - 1]!;
    if (tail < NOTHING) {
      offDiagonal[i] = pivot;
      continue;
    }
    const norm2 = tail + pivot * pivot;
    const g = pivot >= 0 ? -Math.sqrt(norm2) : Math.sqrt(norm2);
    const h = norm2 - pivot * g;
    offDiagonal[i] = g;
    heights[i] = h;
    mem[u + i - 1] = pivot - g;

    // p = A u from the lower triangle, two rows at a time.
    mem.fill(0, pStart, pStart + i);
    let j = 0;
    for (; j + 1 < i; j += 2) {
      const r0 = aStart + j * n;
      const u0 = mem[u + j]!;
      const u1 = mem[u + j + 1]!;
      kernels.symmetric2(r0, n, u, pStart, j, u0, u1);
      const corner = mem[r0 + n + j]!;
      mem[pStart + j]! += mem[0]! + mem[r0 + j]! * u0 + corner * u1;
      mem[pStart + j + 1]! += mem[1]! + corner * u0 + mem[r0 + n + j + 1]! * u1;
    }
    if (j < i) {
      const r0 = aStart + j * n;
      const u0 = mem[u + j]!;
      let s = 0;
      for (let k = 0; k < j; k++) {
        const x = mem[r0 + k]!;
        s += x * mem[u + k]!;
        mem[pStart + k]! += x * u0;
      }
      mem[pStart + j]! += s + mem[r0 + j]! * u0;
    }

    // q = p/h - (u.p / 2h^2) u, then A <- A - u q^T - q u^T.
    let up = 0;
    for (let k = 0; k < i; k++) up += mem[u + k]! * mem[pStart + k]!;
    const shift = h < SQUARE_UNDERFLOWS ? up / h / (2 * h) : up / (2 * h * h);
    for (let k = 0; k < i; k++) mem[qStart + k] = mem[pStart + k]! / h - shift * mem[u + k]!;
    for (j = 0; j + 1 < i; j += 2) {
      const r0 = aStart + j * n;
      const u1 = mem[u + j + 1]!;
      const q1 = mem[qStart + j + 1]!;
      kernels.rankTwo2(r0, n, u, qStart, j + 1, mem[u + j]!, mem[qStart + j]!, u1, q1);
      mem[r0 + n + j + 1]! -= 2 * u1 * q1;
    }
    if (j < i) {
      const r0 = aStart + j * n;
      const uj = mem[u + j]!;
      const qj = mem[qStart + j]!;
      for (let k = 0; k <= j; k++) mem[r0 + k]! -= uj * mem[qStart + k]! + qj * mem[u + k]!;
    }
  }
  diagonal[0] = mem[aStart]!;
  return heights;
}

/** Z = Q^T as rows. Reflection i touches only the leading i x i block, which is what keeps this at 2/3 n^3. */
function accumulateReflections(
  kernels: RowKernels,
  mem: Float64Array,
  aStart: number,
  zStart: number,
  zRows: number,
  n: number,
  heights: Float64Array,
): void {
  mem.fill(0, zStart, zStart + zRows * n);
  for (let i = 0; i < n; i++) mem[zStart + i * n + i] = 1;
  for (let i = 2; i < n; i++) {
    const h = heights[i]!;
    if (h === 0) continue;
    const u = aStart + i * n;
    // Rows from i on are still zero in these columns, so rounding the row count up to a multiple of four is harmless.
    for (let k = 0; k < i; k += 4) {
      const r = zStart + k * n;
      kernels.dot4(r, n, u, i);
      kernels.subtract4(r, n, u, i, mem[0]! / h, mem[1]! / h, mem[2]! / h, mem[3]! / h);
    }
  }
}

/** Diagonalizes the tridiagonal matrix in place and rotates the rows of Z along. */
function implicitQl(
  kernels: RowKernels,
  mem: Float64Array,
  zStart: number,
  n: number,
  d: Float64Array,
  e: Float64Array,
  tolerance: number,
): void {
  e.copyWithin(0, 1);
  if (n > 0) e[n - 1] = 0;
  let norm = 0;
  for (let i = 0; i < n; i++) norm = Math.max(norm, Math.abs(d[i]!) + Math.abs(e[i]!));
  const negligible = tolerance * norm;
  const cosines = new Float64Array(n);
  const sines = new Float64Array(n);
  for (let l = 0; l < n; l++) {
    for (let sweep = 0; ; sweep++) {
      let m = l;
      while (m < n - 1 && Math.abs(e[m]!) > negligible) m++;
      if (m === l) break;
      if (sweep === 60) throw new Error(`symmetricEigen: eigenvalue ${l} of ${n} did not converge in 60 sweeps`);
      let g = (d[l + 1]! - d[l]!) / (2 * e[l]!);
      let r = Math.sqrt(g * g + 1);
      g = d[m]! - d[l]! + e[l]! / (g + (g >= 0 ? r : -r));
      let s = 1;
      let c = 1;
      let p = 0;
      let i = m - 1;
      for (; i >= l; i--) {
        const f = s * e[i]!;
        const b = c * e[i]!;
        r = Math.sqrt(f * f + g * g);
        e[i + 1] = r;
        if (r === 0) break;
        s = f / r;
        c = g / r;
        g = d[i + 1]! - p;
        r = (d[i]! - g) * s + 2 * c * b;
        p = s * r;
        d[i + 1] = g + p;
        g = c * r - b;
        cosines[i] = c;
        sines[i] = s;
      }
      if (i >= l) {
        // The bulge vanished early: the matrix splits at i + 1.
        d[i + 1]! -= p;
      } else {
        d[l]! -= p;
        e[l] = g;
      }
      e[m] = 0;
      rotateRows(kernels, mem, zStart, n, i + 1, m - 1, cosines, sines);
    }
  }
}

/** Applies the rotations high, high - 1, ..., low; number i mixes the rows i and i + 1. */
function rotateRows(
  kernels: RowKernels,
  mem: Float64Array,
  zStart: number,
  n: number,
  low: number,
  high: number,
  cosines: Float64Array,
  sines: Float64Array,
): void {
  let i = high;
  for (; i - 3 >= low; i -= 4) {
    kernels.rotate4(
      zStart + (i - 3) * n,
      n,
      n,
      cosines[i]!,
      sines[i]!,
      cosines[i - 1]!,
      sines[i - 1]!,
      cosines[i - 2]!,
      sines[i - 2]!,
      cosines[i - 3]!,
      sines[i - 3]!,
    );
  }
  for (; i >= low; i--) {
    const c = cosines[i]!;
    const s = sines[i]!;
    const a = zStart + i * n;
    const b = a + n;
    for (let k = 0; k < n; k++) {
      const up = mem[b + k]!;
      const down = mem[a + k]!;
      mem[b + k] = s * down + c * up;
      mem[a + k] = c * down - s * up;
    }
  }
}
