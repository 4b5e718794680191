import type { Tensor } from '@tensorflow/tfjs-core';
import type { Combine } from './combine.js';
import type { Operand, Value } from './expression/value.js';
import type { Described } from './json.js';
import type { Projector } from './projector.js';
import type { Shape } from './shape.js';
import type { SlotSpec } from './slots.js';

/**
 * What turns a gradient into a direction d, of which the optimizer then takes the step W ← W - η d. A rule never sees
 * the learning rate, weight decay or other parameters: those belong to the composition.
 *
 * Three kinds, told apart by `type`; users of a rule need not care which it is.
 */
export type Rule = ExpressionRule | TensorRule | SubspaceRule;

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

/** Tensor arguments of a {@link TensorRule}: the gradient `g` and every state slot, by name. */
export type TensorRuleInputs<S extends string> = { readonly [K in S]: Tensor } & { readonly g: Tensor };

/** What a {@link TensorRule} returns. */
export type TensorRuleOutputs<S extends string> = { readonly [K in 'direction' | S]: Tensor };

/**
 * A rule that needs matrix algebra and is written directly in tfjs operations. It runs on every backend as it stands
 * and is never fused.
 */
export interface TensorRule<S extends string = string> extends Described {
  readonly type: 'tensor';
  state(shape: Shape): Readonly<Record<S, SlotSpec>>;
  scalars?(t: number, shape: Shape): Readonly<Record<string, number>>;
  /** Called inside `tf.tidy`; must not dispose or change its arguments. */
  step(x: TensorRuleInputs<S>, scalars: Readonly<Record<string, number>>, shape: Shape): TensorRuleOutputs<S>;
}

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

/** Fills in `type` and infers the slot and scalar names of a rule. */
export function expressionRule<S extends string = never, C extends string = never>(
  rule: Omit<ExpressionRule<S, C>, 'type'>,
): ExpressionRule<S, C> {
  return { ...rule, type: 'expression' };
}

/** Fills in `type` and infers the slot names of a tensor rule. */
export function tensorRule<S extends string = never>(rule: Omit<TensorRule<S>, 'type'>): TensorRule<S> {
  return { ...rule, type: 'tensor' };
}
