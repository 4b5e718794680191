// Logarithm, sine and cosine from additions, multiplications and divisions alone. The versions of `Math` may differ in
// the last bit between engines, and a basis drawn with them would then differ between the machine that saved a run and
// the one that continues it.

const LN2_HIGH = 0.6931471803691238;
const LN2_LOW = 1.9082149292705877e-10;

const doubles = new Float64Array(1);
const words = new Uint32Array(doubles.buffer);

/** ln x for a normal positive double, to about one unit in the last place. */
export function naturalLog(x: number): number {
  if (!(x > 0) || x === Number.POSITIVE_INFINITY) return x === 0 ? Number.NEGATIVE_INFINITY : x > 0 ? x : Number.NaN;
  doubles[0] = x;
  let exponent = ((words[1]! >>> 20) & 0x7ff) - 1023;
  words[1] = (words[1]! & 0x000fffff) | 0x3ff00000;
  let mantissa = doubles[0]!;
  if (mantissa > Math.SQRT2) {
    mantissa /= 2;
    exponent += 1;
  }
  // ln m = 2 artanh s with s = (m-1)/(m+1), |s| < 0.172: the series gains about 1.5 digits a term.
  const s = (mantissa - 1) / (mantissa + 1);
  const s2 = s * s;
  let sum = 0;
  for (let k = 23; k >= 3; k -= 2) sum = (sum + 1 / k) * s2;
  return exponent * LN2_HIGH + (2 * s + (2 * s * sum + exponent * LN2_LOW));
}

/** cos(2π · turns). */
export function cosTurns(turns: number): number {
  const reduced = Math.abs(turns - Math.floor(turns + 0.5));
  // Fold [0, ½] to the eighth nearest an axis, where the Taylor series is short.
  if (reduced > 0.375) return -cosine(0.5 - reduced);
  if (reduced > 0.125) return sine(0.25 - reduced);
  return cosine(reduced);
}

/** sin(2π · turns). */
export function sinTurns(turns: number): number {
  return cosTurns(turns - 0.25);
}

function cosine(turns: number): number {
  const x = 2 * Math.PI * turns;
  let sum = 0;
  for (let k = 18; k >= 2; k -= 2) sum = (-(1 + sum) * x * x) / (k * (k - 1));
  return 1 + sum;
}

function sine(turns: number): number {
  const x = 2 * Math.PI * turns;
  let sum = 0;
  for (let k = 19; k >= 3; k -= 2) sum = (-(1 + sum) * x * x) / (k * (k - 1));
  return x * (1 + sum);
}
