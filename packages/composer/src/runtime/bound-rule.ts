import type { Site } from '@frugaljs/core';
import type { Tensor } from '@tensorflow/tfjs-core';
import type { PendingVerdict } from './gate.js';
import type { PlannedTensor } from './planned-tensor.js';
import type { SavedState, StateReader } from './saved-state.js';
import type { Carry, CoordinateMove } from './slot-state.js';

/** What a rule needs to know of the step it takes part in. */
export interface StepContext {
  /** Updates made before this one. */
  readonly update: number;
  /** The parameter, for rules that read it; inside a subspace, projected like the gradient. */
  readonly parameter?: Tensor;
  /** Coordinates that enclosing projectors cover. */
  readonly occupied?: Occupied;
  /** What will have become of the step; left out where the host knows that it is to be taken. */
  readonly verdict?: PendingVerdict;
}

/** The coordinates that enclosing projectors of one kind cover. */
export interface Occupied {
  readonly kind: string;
  /** Ascending indices covered after the given number of updates. */
  at(update: number): Int32Array;
}

/** A rule at work on one parameter: the rule, where it is, and its state. */
export interface BoundRule {
  /**
   * Computes the direction for a gradient and moves the state on. Called inside `tf.tidy`. `null` stands for a
   * direction of zeros: nothing of the parameter is trained at this step.
   */
  step(g: Tensor, context: StepContext): Tensor | null;
  /**
   * Chooses the subspaces that the coming step needs, without taking it. A nested one that is fitted to a gradient, which
   * only the step knows, is left to the step.
   *
   * @param gradient Gives the gradient as the step will see it, when a subspace is fitted to it.
   */
  prepare(gradient: () => Tensor, context: StepContext): void;
  /** The tensors of the state after the step that follows the given number of updates. */
  plan(update: number): readonly PlannedTensor[];
  /** Reacts to a change of the group that the parameter is in. */
  move(site: Site): void;
  /** Gives up, without a gradient at hand, state for which there is no use in this update. */
  release(update: number): void;
  /**
   * Learns that the device left out a judged update: step counters go back by it, and a subspace that was fitted to its
   * gradient is fitted again at the next step.
   */
  withhold(ordinal: number): void;
  /** Carries the state to new coordinates of the subspace around it. */
  transport(carry: Carry, move: CoordinateMove | null): void;
  /** Starts again from the initial state. */
  reset(): void;
  /** Adds the state to `into`; the tensors stay the rule's own. */
  save(path: string, into: SavedState): void;
  /** Takes over saved state; copies what it keeps. */
  restore(path: string, from: StateReader, context: RestoreContext): void;
  dispose(): void;
}

/** What a rule needs to know to derive again what was not saved. */
export interface RestoreContext {
  readonly occupied?: Occupied;
  /** How the subspace around the rule selects coordinates. */
  readonly coordinates?: { readonly axis: CoordinateMove['axis']; readonly count: number };
}
