import type { RowKernels } from './row-kernels.js';

/**
 * Q^T A Q = T. Row i of A keeps the Householder vector u_i in its first i elements; returned are the h_i = |u_i|^2 / 2
 * (0: no reflection). offDiagonal[i] couples i-1 and i.
 */
export function tridiagonalize(
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
    if (tail === 0) {
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
    const shift = up / (2 * h * h);
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
export function accumulateReflections(
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
