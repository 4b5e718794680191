// Plain arithmetic in float64 on the host: what laws are judged with must not come from the backend under test.

export type Numbers = ArrayLike<number>;

/** Σ aᵢ bᵢ. */
export function dot(a: Numbers, b: Numbers): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i]! * b[i]!;
  return sum;
}

/** Euclidean norm, safe from overflow and underflow. */
export function norm(a: Numbers): number {
  const largest = maxAbs(a);
  if (largest === 0 || !Number.isFinite(largest)) return largest;
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += (a[i]! / largest) ** 2;
  return largest * Math.sqrt(sum);
}

/** Largest |aᵢ|; NaN if an entry is. */
export function maxAbs(a: Numbers): number {
  let largest = 0;
  for (let i = 0; i < a.length; i++) {
    const size = Math.abs(a[i]!);
    if (!(size <= largest)) largest = size;
    if (Number.isNaN(size)) return size;
  }
  return largest;
}

/** Position and size of the largest |aᵢ - bᵢ|; infinite when the lengths differ or one is NaN where the other is not. */
export function farthest(a: Numbers, b: Numbers): { readonly at: number; readonly distance: number } {
  if (a.length !== b.length) return { at: -1, distance: Number.POSITIVE_INFINITY };
  let at = 0;
  let distance = 0;
  for (let i = 0; i < a.length; i++) {
    const [x, y] = [a[i]!, b[i]!];
    if (Object.is(x, y) || x === y) continue;
    const d = Math.abs(x - y);
    if (Number.isNaN(d)) return { at: i, distance: Number.POSITIVE_INFINITY };
    if (d > distance) [at, distance] = [i, d];
  }
  return { at, distance };
}

/** a + factor · b. */
export function axpy(a: Numbers, factor: number, b: Numbers): Float64Array {
  return Float64Array.from({ length: a.length }, (_, i) => a[i]! + factor * b[i]!);
}

export function scaled(a: Numbers, factor: number): Float64Array {
  return Float64Array.from({ length: a.length }, (_, i) => factor * a[i]!);
}
