import type { Operand, Value } from './expression/value.js';
import type { ExpressionRule } from './expression-rule.js';
import type { Described } from './json.js';
import type { Projector } from './projector.js';
import type { Shape } from './shape.js';
import type { SlotSpec } from './slots.js';
import type { TensorRule } from './tensor-rule.js';

// A subspace holds a rule and a combine, and a combine a rule, which may be another subspace: one recursive definition.

/**
 * What turns a gradient into a direction d, of which the optimizer then takes the step W ← W - η d. A rule never sees
 * the learning rate, weight decay or other parameters: those belong to the composition.
 *
 * Three kinds, told apart by `type`; users of a rule need not care which it is.
 */
export type Rule = ExpressionRule | TensorRule | SubspaceRule;

/** When a subspace is chosen anew. */
export interface Refresh {
  /** Steps between refreshes (T). `Infinity` keeps the first subspace forever. */
  readonly every: number;
  /**
   * Spreads the refreshes of the parameters of a group evenly over the interval, so that no single update pays for all
   * of them. Then the first subspaces last for different numbers of steps. Default false.
   */
  readonly stagger?: boolean;
}

/**
 * What happens to the state when the subspace moves: `reset` starts again from zero with the step
 * counter at 0 (FRUGAL); `keep` leaves it as it is (GaLore); `transport` carries it to the new coordinates.
 */
export type OnRefresh = 'reset' | 'keep' | 'transport';

/** A rule that keeps its state in a subspace and combines the result with what the subspace misses. */
export interface SubspaceRule extends Described {
  readonly type: 'subspace';
  readonly projector: Projector;
  readonly rule: Rule;
  readonly combine: Combine;
  readonly refresh: Refresh;
  readonly onRefresh: OnRefresh;
}

/** Symbolic arguments of a combine, all in the full space. */
export type CombineInputs<S extends string> = { readonly [K in S]: Value } & {
  /** The gradient G. */
  readonly g: Value;
  /** The direction found in the subspace, lifted back: up(d). */
  readonly lifted: Value;
  /** What the subspace misses: G - up(down(G)). */
  readonly residual: Value;
  /** The direction of the rule that steps on the residual; 0 when the combine has none. */
  readonly residualDirection: Value;
};

/** What a combine returns: the direction and the next value of every slot. */
export type CombineOutputs<S extends string> = { readonly [K in 'direction' | S]: Operand };

/** What happens to the part of the gradient that a subspace misses. */
export interface Combine<S extends string = string> extends Described {
  /** The rule that steps on the residual, itself any rule: a residual can be split again. `null` for none. */
  readonly rule: Rule | null;
  /**
   * Entries of the residual with |R_ij| ≤ tolerance · ‖G‖_∞ count as 0. The residual of a dense projector carries
   * rounding noise, of which a sign would make full-size steps. Not applied to coordinate projectors, whose zeros are
   * exact.
   */
  readonly tolerance: number;
  state(shape: Shape): Readonly<Record<S, SlotSpec>>;
  apply(x: CombineInputs<S>): CombineOutputs<S>;
}
