import type { BinaryOperation, Reduction, UnaryOperation } from '@frugaljs/core';

/** Names of the TensorFlow operations for the operations of a graph. */
export const UNARY: Readonly<Record<UnaryOperation, string>> = {
  neg: 'Neg',
  abs: 'Abs',
  sqrt: 'Sqrt',
  square: 'Square',
  sign: 'Sign',
  exp: 'Exp',
  log: 'Log',
  reciprocal: 'Reciprocal',
};

export const BINARY: Readonly<Record<BinaryOperation, string>> = {
  add: 'AddV2',
  sub: 'Sub',
  mul: 'Mul',
  div: 'RealDiv',
  maximum: 'Maximum',
  minimum: 'Minimum',
  greater: 'Greater',
  greaterEqual: 'GreaterEqual',
  less: 'Less',
  lessEqual: 'LessEqual',
  equal: 'Equal',
};

export const REDUCTION: Readonly<Record<Reduction, string>> = { sum: 'Sum', mean: 'Mean', max: 'Max', min: 'Min' };
