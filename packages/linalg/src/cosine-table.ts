/**
 * cos(pi k / (2 a)) for k = 0 ... a in float64, from additions, multiplications and divisions only, so every engine
 * gives the same bits (Math.cos may not). The last bit can differ from the correctly rounded value.
 */
export function quarterWaveCosines(a: number): Float64Array {
  const table = new Float64Array(a + 1);
  for (let k = 0; k <= a; k++) {
    // Up to pi / 4 the cosine itself, beyond it the sine of the complement: the series stay short and accurate.
    table[k] = 2 * k <= a ? cosineSeries((Math.PI * k) / (2 * a)) : sineSeries((Math.PI * (a - k)) / (2 * a));
  }
  return table;
}

/** Taylor series for |x| <= pi / 4, innermost term first; the first omitted one is below 2^-60. */
function cosineSeries(x: number): number {
  const x2 = x * x;
  let sum = 1;
  for (let i = 18; i >= 2; i -= 2) sum = 1 - (sum * x2) / (i * (i - 1));
  return sum;
}

function sineSeries(x: number): number {
  const x2 = x * x;
  let sum = 1;
  for (let i = 19; i >= 3; i -= 2) sum = 1 - (sum * x2) / (i * (i - 1));
  return x * sum;
}
