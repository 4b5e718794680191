/**
 * The inner loops of the float64 host algorithms (Cholesky, tridiagonalization, QL), all on contiguous rows of one
 * workspace. Two implementations exist, this one in JavaScript and one in WebAssembly SIMD (row-kernels-wasm.ts); both
 * add in the same order (even elements, odd elements, then the odd tail), so their results are bit-identical.
 *
 * Positions are element indices into the workspace. Kernels that produce sums leave them in elements 0 to 3.
 */
export interface RowKernels {
  /** The workspace with at least `length` elements. Contents are undefined; earlier views may be detached. */
  reserve(length: number): Float64Array;
  /** sums[i] = row_i . u for the four rows at `row`, `row + stride`, ... */
  dot4(row: number, stride: number, u: number, n: number): void;
  /** row_i -= g_i u for four rows. */
  subtract4(row: number, stride: number, u: number, n: number, g0: number, g1: number, g2: number, g3: number): void;
  /** out -= sum of g_i row_i for four rows. */
  gather4(out: number, row: number, stride: number, n: number, g0: number, g1: number, g2: number, g3: number): void;
  /** sums[i] = row_i . u for two rows, and p += a0 row_0 + a1 row_1: one pass of a symmetric matrix-vector product. */
  symmetric2(row: number, stride: number, u: number, p: number, n: number, a0: number, a1: number): void;
  /** row_i -= a_i q + b_i u for two rows: one pass of a symmetric rank-two update. */
  rankTwo2(
    row: number,
    stride: number,
    u: number,
    q: number,
    n: number,
    a0: number,
    b0: number,
    a1: number,
    b1: number,
  ): void;
  /** Four chained plane rotations of the rows z_4 z_3, z_3 z_2, z_2 z_1, z_1 z_0: (z_hi, z_lo) <- (s z_lo + c z_hi, c z_lo - s z_hi). */
  rotate4(
    row: number,
    stride: number,
    n: number,
    c0: number,
    s0: number,
    c1: number,
    s1: number,
    c2: number,
    s2: number,
    c3: number,
    s3: number,
  ): void;
}

/** Elements 0 to 3 hold the sums, so a caller's own data starts here. */
export const WORKSPACE_START = 4;

/** The JavaScript implementation: the fallback where WebAssembly SIMD is missing or forbidden. */
export function createScriptKernels(): RowKernels {
  let z: Float64Array = new Float64Array(0);
  return {
    reserve(length) {
      if (z.length < length) z = new Float64Array(length);
      return z;
    },
    dot4(row, stride, u, n) {
      const r1 = row + stride;
      const r2 = r1 + stride;
      const r3 = r2 + stride;
      let a0 = 0;
      let a1 = 0;
      let b0 = 0;
      let b1 = 0;
      let c0 = 0;
      let c1 = 0;
      let d0 = 0;
      let d1 = 0;
      const even = n & ~1;
      for (let k = 0; k < even; k += 2) {
        const x = z[u + k]!;
        const y = z[u + k + 1]!;
        a0 += z[row + k]! * x;
        a1 += z[row + k + 1]! * y;
        b0 += z[r1 + k]! * x;
        b1 += z[r1 + k + 1]! * y;
        c0 += z[r2 + k]! * x;
        c1 += z[r2 + k + 1]! * y;
        d0 += z[r3 + k]! * x;
        d1 += z[r3 + k + 1]! * y;
      }
      const x = n > even ? z[u + even]! : 0;
      z[0] = a0 + a1 + (n > even ? z[row + even]! * x : 0);
      z[1] = b0 + b1 + (n > even ? z[r1 + even]! * x : 0);
      z[2] = c0 + c1 + (n > even ? z[r2 + even]! * x : 0);
      z[3] = d0 + d1 + (n > even ? z[r3 + even]! * x : 0);
    },
    subtract4(row, stride, u, n, g0, g1, g2, g3) {
      const r1 = row + stride;
      const r2 = r1 + stride;
      const r3 = r2 + stride;
      for (let k = 0; k < n; k++) {
        const x = z[u + k]!;
        z[row + k]! -= g0 * x;
        z[r1 + k]! -= g1 * x;
        z[r2 + k]! -= g2 * x;
        z[r3 + k]! -= g3 * x;
      }
    },
    gather4(out, row, stride, n, g0, g1, g2, g3) {
      const r1 = row + stride;
      const r2 = r1 + stride;
      const r3 = r2 + stride;
      for (let k = 0; k < n; k++) {
        z[out + k]! -= g0 * z[row + k]! + g1 * z[r1 + k]! + g2 * z[r2 + k]! + g3 * z[r3 + k]!;
      }
    },
    symmetric2(row, stride, u, p, n, a0, a1) {
      const r1 = row + stride;
      let s0 = 0;
      let s1 = 0;
      let t0 = 0;
      let t1 = 0;
      const even = n & ~1;
      for (let k = 0; k < even; k += 2) {
        const x0 = z[row + k]!;
        const x1 = z[row + k + 1]!;
        const y0 = z[r1 + k]!;
        const y1 = z[r1 + k + 1]!;
        s0 += x0 * z[u + k]!;
        s1 += x1 * z[u + k + 1]!;
        t0 += y0 * z[u + k]!;
        t1 += y1 * z[u + k + 1]!;
        z[p + k]! += a0 * x0 + a1 * y0;
        z[p + k + 1]! += a0 * x1 + a1 * y1;
      }
      let tail0 = 0;
      let tail1 = 0;
      if (n > even) {
        const x = z[row + even]!;
        const y = z[r1 + even]!;
        tail0 = x * z[u + even]!;
        tail1 = y * z[u + even]!;
        z[p + even]! += a0 * x + a1 * y;
      }
      z[0] = s0 + s1 + tail0;
      z[1] = t0 + t1 + tail1;
    },
    rankTwo2(row, stride, u, q, n, a0, b0, a1, b1) {
      const r1 = row + stride;
      for (let k = 0; k < n; k++) {
        const x = z[u + k]!;
        const y = z[q + k]!;
        z[row + k]! -= a0 * y + b0 * x;
        z[r1 + k]! -= a1 * y + b1 * x;
      }
    },
    rotate4(row, stride, n, c0, s0, c1, s1, c2, s2, c3, s3) {
      const r1 = row + stride;
      const r2 = r1 + stride;
      const r3 = r2 + stride;
      const r4 = r3 + stride;
      for (let k = 0; k < n; k++) {
        let high = z[r4 + k]!;
        let low = z[r3 + k]!;
        z[r4 + k] = s0 * low + c0 * high;
        high = c0 * low - s0 * high;
        low = z[r2 + k]!;
        z[r3 + k] = s1 * low + c1 * high;
        high = c1 * low - s1 * high;
        low = z[r1 + k]!;
        z[r2 + k] = s2 * low + c2 * high;
        high = c2 * low - s2 * high;
        low = z[row + k]!;
        z[r1 + k] = s3 * low + c3 * high;
        z[row + k] = c3 * low - s3 * high;
      }
    },
  };
}
