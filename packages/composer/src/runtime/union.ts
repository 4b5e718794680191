/** The numbers in either of two ascending lists, ascending. */
export function union(a: Int32Array, b: Int32Array): Int32Array {
  const out = new Int32Array(a.length + b.length);
  let filled = 0;
  for (let i = 0, j = 0; i < a.length || j < b.length; filled++) {
    const next = Math.min(a[i] ?? Number.POSITIVE_INFINITY, b[j] ?? Number.POSITIVE_INFINITY);
    out[filled] = next;
    if (a[i] === next) i++;
    if (b[j] === next) j++;
  }
  return out.slice(0, filled);
}
