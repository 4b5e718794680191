import type { RowKernels } from './row-kernels.js';

/** Diagonalizes the tridiagonal matrix in place and rotates the rows of Z along. */
export function implicitQl(
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
