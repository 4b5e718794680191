import type { BinaryOperation, Reduction, UnaryOperation } from '@frugaljs/core';

/** The one-operand operations as WGSL expressions of a name. */
export const WGSL_UNARY: Readonly<Record<UnaryOperation, (x: string) => string>> = {
  neg: x => `-${x}`,
  abs: x => `abs(${x})`,
  sqrt: x => `sqrt(${x})`,
  square: x => `${x} * ${x}`,
  sign: x => `signOf(${x})`,
  exp: x => `expOf(${x})`,
  log: x => `logOf(${x})`,
  reciprocal: x => `1.0 / ${x}`,
};

const comparison =
  (operator: string) =>
  (x: string, y: string): string =>
    `select(0.0, 1.0, ${x} ${operator} ${y})`;

/** The two-operand operations. */
export const WGSL_BINARY: Readonly<Record<BinaryOperation, (x: string, y: string) => string>> = {
  add: (x, y) => `${x} + ${y}`,
  sub: (x, y) => `${x} - ${y}`,
  mul: (x, y) => `${x} * ${y}`,
  div: (x, y) => `${x} / ${y}`,
  maximum: (x, y) => `larger(${x}, ${y})`,
  minimum: (x, y) => `smaller(${x}, ${y})`,
  greater: comparison('>'),
  greaterEqual: comparison('>='),
  less: comparison('<'),
  lessEqual: comparison('<='),
  equal: comparison('=='),
};

/** Combines two partial results of a reduction. */
export const WGSL_COMBINE: Readonly<Record<Reduction, (x: string, y: string) => string>> = {
  sum: WGSL_BINARY.add,
  mean: WGSL_BINARY.add,
  max: WGSL_BINARY.maximum,
  min: WGSL_BINARY.minimum,
};

/** What an empty reduction gives. An infinity cannot be written in WGSL; its bits come as a uniform. */
export function wgslIdentity(reduction: Reduction, infinity: string): string {
  if (reduction === 'max') return `-bitcast<f32>(${infinity})`;
  return reduction === 'min' ? `bitcast<f32>(${infinity})` : '0.0';
}

/** A finite number as a WGSL literal; `null` for one that has none. */
export function wgslLiteral(value: number): string | null {
  const rounded = Math.fround(value);
  // Subnormal literals may be flushed, and a negated 0 is folded to +0.
  if (!Number.isFinite(rounded) || Object.is(rounded, -0)) return null;
  if (rounded !== 0 && Math.abs(rounded) < 1.1754943508222875e-38) return null;
  const text = String(rounded);
  const literal = /[.e]/.test(text) ? text : `${text}.0`;
  return rounded < 0 ? `(${literal})` : literal;
}
