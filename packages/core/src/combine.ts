import type { Operand, Value } from './expression/value.js';
import type { Described } from './json.js';
import type { Rule } from './rule.js';
import type { Shape } from './shape.js';
import type { SlotSpec } from './slots.js';

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
