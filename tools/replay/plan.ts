import type { ComposeOptions } from '@frugaljs/composer';

/** What replays some of the parameters of a case: a composition, and what it must be told from outside. */
export interface Plan {
  /** Positions of the parameters in the case. */
  readonly parameters: readonly number[];
  readonly composition: ComposeOptions;
  /** Per step, what the update counter must be; absent: what it is. */
  readonly updatesBefore?: readonly number[];
  /** The learning rate of the coming step, for official classes that derive it from the parameter. */
  readonly learningRate?: (values: Float32Array) => number;
}

export interface PlanOptions {
  /** Take the singular vectors from the file and not from the gradient. */
  readonly recordedBases: boolean;
}
