import type { Tensor } from '@tensorflow/tfjs-core';
import { InvalidExpressionError } from './errors.js';
import type { Graph, NodeExtent } from './graph/graph.js';
import { type Operand, Tracer, type Value } from './graph/tracer.js';
import type { Described } from './options.js';
import type { Projector } from './projector.js';
import type { Extent, Shape, SlotSpec } from './slots.js';

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
const RESERVED_NAMES: readonly string[] = ['g', 'direction', 'parameter', 't'];

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

/** Fills in `type` and infers the slot names of a tensor rule. */
export function tensorRule<S extends string = never>(rule: Omit<TensorRule<S>, 'type'>): TensorRule<S> {
  return { ...rule, type: 'tensor' };
}

/**
 * Runs a rule's `step` on symbolic values. The graph's inputs are `g`, `parameter` and the slots; its outputs are
 * `direction` and the next value of every slot.
 *
 * @param scalarsPer With an extent, the per-step numbers become inputs of that extent: one number per row, column or
 *   element instead of one for all, for state whose parts have taken different numbers of steps.
 */
export function traceRule(rule: ExpressionRule, shape: Shape, scalarsPer: NodeExtent = 'host'): Graph {
  const slots = rule.state(shape);
  const scalars = Object.keys(rule.scalars?.(1, shape) ?? {});
  checkNames(rule.kind, [...Object.keys(slots), ...scalars], RESERVED_NAMES);
  const tracer = new Tracer();
  const inputs: Record<string, Value> = { g: tracer.input('g', 'element'), ...slotInputs(tracer, slots) };
  if (rule.readsParameter) inputs['parameter'] = tracer.input('parameter', 'element');
  for (const name of scalars)
    inputs[name] = scalarsPer === 'host' ? tracer.scalar(name) : tracer.input(name, scalarsPer);
  const outputs = rule.step(inputs as Parameters<typeof rule.step>[0], shape);
  return finish(tracer, `${rule.kind}.step`, slots, outputs);
}

const COMBINE_INPUTS = ['g', 'lifted', 'residual', 'residualDirection'] as const;

/** Runs a combine's `apply` on symbolic values; outputs as for {@link traceRule}. */
export function traceCombine(combine: Combine, shape: Shape): Graph {
  const slots = combine.state(shape);
  checkNames(combine.kind, Object.keys(slots), [...COMBINE_INPUTS, 'direction']);
  const tracer = new Tracer();
  const inputs: Record<string, Value> = slotInputs(tracer, slots);
  for (const name of COMBINE_INPUTS) inputs[name] = tracer.input(name, 'element');
  const outputs = combine.apply(inputs as Parameters<typeof combine.apply>[0]);
  return finish(tracer, `${combine.kind}.apply`, slots, outputs);
}

function slotInputs(tracer: Tracer, slots: Readonly<Record<string, SlotSpec>>): Record<string, Value> {
  return Object.fromEntries(Object.entries(slots).map(([name, slot]) => [name, tracer.input(name, slot.extent)]));
}

function checkNames(kind: string, names: readonly string[], reserved: readonly string[]): void {
  const bad = names.find((name, i) => reserved.includes(name) || name.includes('/') || names.indexOf(name) !== i);
  if (bad !== undefined) {
    throw new InvalidExpressionError({
      parameter: `${kind}.state`,
      found: bad,
      expected: `slot and scalar names that are distinct, without "/" and none of ${reserved.join(', ')}`,
    });
  }
}

function finish(
  tracer: Tracer,
  method: string,
  slots: Readonly<Record<string, SlotSpec>>,
  outputs: Readonly<Record<string, Operand>>,
): Graph {
  const extents: Record<string, Extent> = { direction: 'element' };
  for (const [name, slot] of Object.entries(slots)) extents[name] = slot.extent;
  const missing = Object.keys(extents).filter(name => outputs[name] === undefined);
  const extra = Object.keys(outputs).filter(name => !(name in extents));
  if (missing.length > 0 || extra.length > 0) {
    throw new InvalidExpressionError({
      parameter: method,
      found: `outputs ${Object.keys(outputs).join(', ') || '(none)'}`,
      expected: `outputs ${Object.keys(extents).join(', ')}`,
      advice: 'Return the direction and the next value of every declared slot.',
    });
  }
  return tracer.graph(outputs, extents);
}
