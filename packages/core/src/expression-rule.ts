import type { Operand, Value } from './expression/value.js';
import type { Described } from './json.js';
import type { Shape } from './shape.js';
import type { SlotSpec } from './slots.js';

/** Symbolic arguments of `step`: the gradient `g`, every state slot and every per-step scalar, by name. */
export type RuleInputs<S extends string, C extends string> = { readonly [K in S]: Value } & {
  readonly [K in C]: Value;
} & {
  readonly g: Value;
  /** The parameter itself, for rules that declare `readsParameter`. */
  readonly parameter?: Value;
};

/** What `step` returns: the direction and the next value of every slot. */
export type RuleOutputs<S extends string> = { readonly [K in 'direction' | S]: Operand };

/** Names a step may not use for slots or scalars. */
export const RESERVED_NAMES: readonly string[] = ['g', 'direction', 'parameter', 't'];

/** A rule written once on symbolic values; the reference interpreter and every fused kernel run the same expression. */
export interface ExpressionRule<S extends string = string, C extends string = string> extends Described {
  readonly type: 'expression';
  /** True when `step` reads `parameter`; inside a subspace that is the parameter projected like the gradient. */
  readonly readsParameter?: boolean;
  /** The state kept for a gradient of this shape; `{}` for a state-free rule. */
  state(shape: Shape): Readonly<Record<S, SlotSpec>>;
  /** Numbers that change from step to step, such as bias corrections; `t` counts the rule's own steps from 1. */
  scalars?(t: number, shape: Shape): Readonly<Record<C, number>>;
  step(x: RuleInputs<S, C>, shape: Shape): RuleOutputs<S>;
}

/** A rule without state. */
export type StateFreeRule = ExpressionRule<never>;

/** Fills in `type` and infers the slot and scalar names of a rule. */
export function expressionRule<S extends string = never, C extends string = never>(
  rule: Omit<ExpressionRule<S, C>, 'type'>,
): ExpressionRule<S, C> {
  return { ...rule, type: 'expression' };
}
