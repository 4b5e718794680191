import type { BinaryOperation, Reduction, UnaryOperation } from '@frugaljs/core';
import { FLOAT, type Width } from './shader.js';

/** A one-operand operation as a WGSL expression of a name. */
export function wgslUnary(op: UnaryOperation, x: string, width: Width): string {
  switch (op) {
    case 'neg':
      return `-${x}`;
    case 'abs':
      return `abs(${x})`;
    case 'sqrt':
      return `sqrt(${x})`;
    case 'square':
      return `${x} * ${x}`;
    case 'sign':
      return `signOf${width}(${x})`;
    case 'exp':
      return `expOf${width}(${x})`;
    case 'log':
      return `logOf${width}(${x})`;
    case 'reciprocal':
      return `1.0 / ${x}`;
  }
}

const OPERATORS: Readonly<Partial<Record<BinaryOperation, string>>> = { add: '+', sub: '-', mul: '*', div: '/' };

const COMPARISONS: Readonly<Partial<Record<BinaryOperation, string>>> = {
  greater: '>',
  greaterEqual: '>=',
  less: '<',
  lessEqual: '<=',
  equal: '==',
};

/** True for operations that WGSL gives a vector and a number. */
export function mixesWidths(op: BinaryOperation): boolean {
  return OPERATORS[op] !== undefined;
}

/** A two-operand operation. */
export function wgslBinary(op: BinaryOperation, x: string, y: string, width: Width): string {
  if (op === 'maximum') return `larger${width}(${x}, ${y})`;
  if (op === 'minimum') return `smaller${width}(${x}, ${y})`;
  const comparison = COMPARISONS[op];
  if (comparison === undefined) return `${x} ${OPERATORS[op]!} ${y}`;
  const isTrue = `(${x} ${comparison} ${y}) & areNumbers${width}(${x}, ${y})`;
  return `select(${FLOAT[width]}(0.0), ${FLOAT[width]}(1.0), ${isTrue})`;
}

const COMBINING: Readonly<Record<Reduction, BinaryOperation>> = {
  sum: 'add',
  mean: 'add',
  max: 'maximum',
  min: 'minimum',
};

/** Combines two partial results of a reduction. */
export function wgslCombine(reduction: Reduction, x: string, y: string): string {
  return wgslBinary(COMBINING[reduction], x, y, 1);
}

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
