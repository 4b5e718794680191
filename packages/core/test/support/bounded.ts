import type { BinaryOperation, Reduction, UnaryOperation } from '@frugaljs/core';

/**
 * A float64 value and how far a float32 computation of it may be off. `error` is 0 where the result must be exact, NaN
 * and infinities included, and `Infinity` where anything may come out.
 */
export interface Bounded {
  readonly value: number;
  readonly error: number;
}

const UNKNOWN: Bounded = { value: Number.NaN, error: Number.POSITIVE_INFINITY };
const NAN: Bounded = { value: Number.NaN, error: 0 };
const EITHER_TRUTH: Bounded = { value: 0.5, error: 0.5 };
const ROUNDING = 2 ** -24;
const SUBNORMAL = 2 ** -126;
const LARGEST = 3.4e38;

const exact = (value: number): Bounded => ({ value, error: 0 });
const isUnknown = (x: Bounded) => x.error === Number.POSITIVE_INFINITY;
const isCertainlyNaN = (x: Bounded) => Number.isNaN(x.value) && x.error === 0;
const isInfinite = (x: Bounded) => Math.abs(x.value) === Number.POSITIVE_INFINITY;

/** `value` with the error of its operands and that of rounding it to float32 `roundings` times. */
function rounded(value: number, error: number, roundings = 1): Bounded {
  const size = Math.abs(value) + error;
  if (!(size < LARGEST)) return UNKNOWN;
  return { value, error: error + roundings * (size * ROUNDING * 1.001 + SUBNORMAL) };
}

/** The largest distance of `f` from its middle value over the interval; `f` must be monotonic there. */
function monotonic(f: (x: number) => number, x: Bounded, roundings: number): Bounded {
  const value = f(x.value);
  const spread = Math.max(Math.abs(f(x.value + x.error) - value), Math.abs(f(x.value - x.error) - value));
  return rounded(value, spread, roundings);
}

export function toFloat32(x: Bounded): Bounded {
  if (x.error > 0) return isUnknown(x) ? x : rounded(x.value, x.error);
  const result = Math.fround(x.value);
  return Number.isFinite(x.value) && !Number.isFinite(result) ? UNKNOWN : exact(result);
}

export const BOUNDED_UNARY: Readonly<Record<UnaryOperation, (x: Bounded) => Bounded>> = {
  neg: x => ({ value: -x.value, error: x.error }),
  abs: x => ({ value: Math.abs(x.value), error: x.error }),
  square: x => BOUNDED_BINARY.mul(x, x),
  reciprocal: x => BOUNDED_BINARY.div(exact(1), x),
  sign: x => {
    if (isUnknown(x) || isCertainlyNaN(x)) return x;
    if (x.value > x.error) return exact(1);
    if (x.value < -x.error) return exact(-1);
    return x.error === 0 ? exact(0) : { value: 0, error: 1 };
  },
  sqrt: x => {
    if (isUnknown(x) || isCertainlyNaN(x)) return x;
    if (isInfinite(x)) return x.value > 0 ? x : NAN;
    if (x.value + x.error < 0) return NAN;
    if (x.error === 0 && x.value === 0) return exact(0);
    return x.value - x.error <= 0 ? UNKNOWN : monotonic(Math.sqrt, x, 1);
  },
  exp: x => {
    if (isUnknown(x) || isCertainlyNaN(x)) return x;
    if (isInfinite(x)) return exact(Math.max(x.value, 0));
    return monotonic(Math.exp, x, 4);
  },
  log: x => {
    if (isUnknown(x) || isCertainlyNaN(x)) return x;
    if (isInfinite(x)) return x.value > 0 ? x : NAN;
    if (x.value + x.error < 0) return NAN;
    if (x.error === 0 && x.value === 0) return exact(Number.NEGATIVE_INFINITY);
    return x.value - x.error <= SUBNORMAL ? UNKNOWN : monotonic(Math.log, x, 4);
  },
};

function arithmetic(
  x: Bounded,
  y: Bounded,
  f: (x: number, y: number) => number,
  error: (x: Bounded, y: Bounded) => number,
): Bounded {
  if (isCertainlyNaN(x) || isCertainlyNaN(y)) return NAN;
  if (isUnknown(x) || isUnknown(y)) return UNKNOWN;
  const value = f(x.value, y.value);
  if (isInfinite(x) || isInfinite(y)) return x.error === 0 && y.error === 0 ? exact(value) : UNKNOWN;
  return rounded(value, error(x, y));
}

function compare(x: Bounded, y: Bounded, f: (x: number, y: number) => boolean): Bounded {
  if (isCertainlyNaN(x) || isCertainlyNaN(y)) return exact(0);
  if (isUnknown(x) || isUnknown(y)) return EITHER_TRUTH;
  const certain = (x.error === 0 && y.error === 0) || Math.abs(x.value - y.value) > x.error + y.error;
  return certain ? exact(Number(f(x.value, y.value))) : EITHER_TRUTH;
}

function extremum(x: Bounded, y: Bounded, f: (x: number, y: number) => number): Bounded {
  if (isCertainlyNaN(x) || isCertainlyNaN(y)) return NAN;
  if (isUnknown(x) || isUnknown(y)) return UNKNOWN;
  return { value: f(x.value, y.value), error: Math.max(x.error, y.error) };
}

const sumOfErrors = (x: Bounded, y: Bounded) => x.error + y.error;

export const BOUNDED_BINARY: Readonly<Record<BinaryOperation, (x: Bounded, y: Bounded) => Bounded>> = {
  add: (x, y) => arithmetic(x, y, (a, b) => a + b, sumOfErrors),
  sub: (x, y) => arithmetic(x, y, (a, b) => a - b, sumOfErrors),
  mul: (x, y) =>
    arithmetic(
      x,
      y,
      (a, b) => a * b,
      () => Math.abs(x.value) * y.error + Math.abs(y.value) * x.error + x.error * y.error,
    ),
  div: (x, y) => {
    if (isCertainlyNaN(x) || isCertainlyNaN(y)) return NAN;
    // The sign of a zero may differ between backends, and with it that of x / 0.
    const smallest = Math.abs(y.value) - y.error;
    if (!(smallest > SUBNORMAL)) return UNKNOWN;
    return arithmetic(
      x,
      y,
      (a, b) => a / b,
      () => (x.error + Math.abs(x.value / y.value) * y.error) / smallest,
    );
  },
  maximum: (x, y) => extremum(x, y, Math.max),
  minimum: (x, y) => extremum(x, y, Math.min),
  greater: (x, y) => compare(x, y, (a, b) => a > b),
  greaterEqual: (x, y) => compare(x, y, (a, b) => a >= b),
  less: (x, y) => compare(x, y, (a, b) => a < b),
  lessEqual: (x, y) => compare(x, y, (a, b) => a <= b),
  equal: (x, y) => compare(x, y, (a, b) => a === b),
};

export function boundedSelect(condition: Bounded, x: Bounded, y: Bounded): Bounded {
  if (isCertainlyNaN(condition) || Math.abs(condition.value) > condition.error) return x;
  if (condition.error === 0) return y;
  if (!Number.isFinite(x.value) || !Number.isFinite(y.value)) return UNKNOWN;
  return { value: x.value, error: Math.max(x.error, Math.abs(x.value - y.value) + y.error + SUBNORMAL) };
}

export function boundedReduction(reduction: Reduction, entries: readonly Bounded[]): Bounded {
  if (entries.some(isCertainlyNaN)) return NAN;
  if (entries.some(isUnknown)) return UNKNOWN;
  const values = entries.map(entry => entry.value);
  if (reduction === 'max' || reduction === 'min') {
    const pick = reduction === 'max' ? Math.max : Math.min;
    return { value: pick(...values), error: Math.max(...entries.map(entry => entry.error)) };
  }
  const sum = values.reduce((total, value) => total + value, 0);
  if (entries.some(isInfinite)) return entries.every(entry => entry.error === 0) ? exact(sum) : UNKNOWN;
  const size = entries.reduce((total, { value, error }) => total + Math.abs(value) + error, 0);
  if (!(size < LARGEST)) return UNKNOWN;
  const error =
    entries.reduce((total, entry) => total + entry.error, 0) +
    (entries.length + 2) * (size * ROUNDING * 1.001 + SUBNORMAL);
  return reduction === 'sum'
    ? { value: sum, error }
    : { value: sum / entries.length, error: error / entries.length + SUBNORMAL };
}
