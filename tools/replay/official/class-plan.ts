import type { Rule } from '@frugaljs/core';

/** What a class of GaLore's code does to one parameter, apart from projecting it. */
export interface ClassPlan {
  readonly rule: Rule;
  readonly learningRate: number;
  readonly weightDecay: number;
  readonly decay: 'before' | 'after';
  /** The learning rate of the coming step, where the class derives it from the values of the parameter. */
  readonly rateOf?: (values: Float32Array) => number;
}
