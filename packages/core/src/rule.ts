import type { Tensor } from '@tensorflow/tfjs-core';
import { InvalidOptionError } from './errors.js';
import type { Operand, Value } from './graph/tracer.js';
import { type Described, didYouMean, requirePart } from './options.js';
import type { Projector } from './projector.js';
import { type Extent, knownExtent, type Shape, type SlotSpec, type TensorSlotSpec, unknownExtent } from './slots.js';

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
  /** Each interval is this many times as long as the one before, and then rounded; at least 1. Default 1: all are alike. */
  readonly growth?: number;
  /** The longest interval, where they grow. Default: none. */
  readonly longest?: number;
  /**
   * Spreads the refreshes of the parameters of a group evenly over the interval, so that no single update pays for all
   * of them. Then the first subspaces last for different numbers of steps. Default false.
   */
  readonly stagger?: boolean;
  /** What training has to show for a refresh to come earlier, or later, than that; per parameter. Default: nothing. */
  readonly when?: RefreshEvent;
}

/** Something measured while training, by which the refreshes of a parameter come earlier or later. */
export type RefreshEvent = SimilarityEvent | EnergyEvent;

/**
 * Intervals double while bases stay alike, as in Q-GaLore (arXiv 2407.08296): at each refresh |cos| of the first vectors
 * of the basis and of the one before is taken, and where the last ones average at least a threshold the interval of this
 * parameter is doubled.
 */
export interface SimilarityEvent {
  readonly measure: 'similarity';
  /** The mean of |cos| from which intervals double, from 0 to 1. Default 0.4. */
  readonly atLeast?: number;
  /** How many refreshes it is the mean of; before there were so many, nothing doubles. Default 5. */
  readonly last?: number;
}

/**
 * A refresh before its time, when the gradient has left the subspace: when the share of its energy that the subspace
 * captures, ‖ΠG‖² / ‖G‖², has fallen.
 */
export interface EnergyEvent {
  readonly measure: 'energy';
  /** The share below which the subspace is chosen anew, from 0 to 1. Give this, `fallenTo` or both. */
  readonly below?: number;
  /** The same as a factor on the share that the subspace captured when it was chosen. */
  readonly fallenTo?: number;
  /** Updates between two looks at the share: only then it is computed and read. Default 10. */
  readonly check?: number;
  /** Updates for which a subspace stays at least. Default: those of `check`. */
  readonly least?: number;
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
  /** What a wrapper made this of: the same but for the combine, whose direction it changes. */
  readonly wrapped?: SubspaceRule;
}

/** What a rule, a combine or a wrapper may read beside gradients and state, if it says so in `reads`. */
export type Read = 'parameter' | 'learningRate';

/** Symbolic arguments of {@link Averaging.average}: the slots, as they are after the last step, and the parameter. */
export type AverageInputs<S extends string> = { readonly [K in S]: Value } & { readonly parameter: Value };

/** What a rule or a combine says of weights that are better than those in training. */
export interface Averaging<S extends string = string> {
  /**
   * The weights to evaluate and to publish, where they are not those in training: an average that the state holds.
   * Before the first step it must give the parameter. Only around a whole rule, not inside a subspace or on a residual.
   */
  average?(x: AverageInputs<S>, shape: Shape): Operand;
}

/** True for a rule of which the state holds an average of the weights: its own, or that of its combine. */
export function keepsAverage(rule: Rule): boolean {
  return (rule.type === 'subspace' ? rule.combine : rule).average !== undefined;
}

/** Symbolic arguments of a combine, all in the full space: slots, per-step scalars and measures by name, and these. */
export type CombineInputs<S extends string> = { readonly [K in S]: Value } & {
  /** The gradient G. */
  readonly g: Value;
  /** The direction found in the subspace, lifted back: up(d). */
  readonly lifted: Value;
  /** What the subspace misses: G - share · up(down(G)). */
  readonly residual: Value;
  /** The direction of the rule that steps on the residual; 0 when the combine has none. */
  readonly residualDirection: Value;
  /** For combines that read it: the parameter before the step. */
  readonly parameter?: Value;
  /** For combines that read it: η of this update times the factor of the group. */
  readonly learningRate?: Value;
};

/** What a combine returns: the direction and the next value of every slot. */
export type CombineOutputs<S extends string> = { readonly [K in 'direction' | S]: Operand };

/** Symbolic arguments of a measure, both in the subspace. */
export interface MeasureInputs {
  /** The projected gradient down(G). */
  readonly low: Value;
  /** The direction d that the rule in the subspace found. */
  readonly lowDirection: Value;
}

/** Where a combine works. */
export interface CombineSite {
  /** Shape of the parameter. */
  readonly shape: Shape;
  /**
   * What a measure has one number of: a row or a column where the projector keeps that axis and projects the other one,
   * and the whole tensor where it keeps none (RandK). Where both are kept, as in a block, the longer one.
   */
  readonly per: Exclude<Extent, 'element'>;
  /** The axis of the matrix with more entries; rows if they are equal. */
  readonly longer: 'row' | 'column';
}

/** What happens to the part of the gradient that a subspace misses. */
export interface Combine<S extends string = string, M extends string = never> extends Described, Averaging<S> {
  /** The rule that steps on the residual, itself any rule: a residual can be split again. `null` for none. */
  readonly rule: Rule | null;
  /** How much of the projected gradient the residual leaves out: R = G - share · up(down(G)). Default 1. */
  readonly share?: number;
  readonly reads?: readonly Read[];
  /**
   * The slot, with a number per element, that is added to the next gradient: after clipping, before the projector. `g`
   * and `residual` are those of the sum.
   */
  readonly feedsBack?: S;
  /**
   * Entries of the residual with |R_ij| ≤ tolerance · ‖G‖_∞ count as 0. The residual of a dense projector carries
   * rounding noise, of which a sign would make full-size steps. Not applied to coordinate projectors, whose zeros are
   * exact.
   */
  readonly tolerance: number;
  state(shape: Shape): Readonly<Record<S, SlotSpec>>;
  /** Numbers that change from step to step, as those of a rule; `t` counts the steps of the combine from 1. */
  scalars?(t: number, shape: Shape): Readonly<Record<string, number>>;
  /**
   * Numbers taken in the subspace from gradient and direction, one for each `site.per` or one in all, for use in
   * `apply`: with a basis that is not orthonormal nothing in the full space tells them. All are 0 while the subspace has
   * nothing of the parameter.
   */
  measure?(x: MeasureInputs, site: CombineSite): Readonly<Record<M, Value>>;
  apply(x: CombineInputs<S | M>, site: CombineSite): CombineOutputs<S>;
  /** What a wrapper made this of. */
  readonly wrapped?: Combine;
}

/** Symbolic arguments of `step`: the gradient `g`, every state slot and every per-step scalar, by name. */
export type RuleInputs<S extends string, C extends string> = { readonly [K in S]: Value } & {
  readonly [K in C]: Value;
} & {
  readonly g: Value;
  /** For rules that read it: the parameter before the step; inside a subspace, projected like the gradient. */
  readonly parameter?: Value;
  /** For rules that read it: η of this update times the factor of the group. */
  readonly learningRate?: Value;
};

/** What `step` returns: the direction and the next value of every slot. */
export type RuleOutputs<S extends string> = { readonly [K in 'direction' | S]: Operand };

/** A rule written once on symbolic values; the reference interpreter and every fused kernel run the same expression. */
export interface ExpressionRule<S extends string = string, C extends string = string> extends Described, Averaging<S> {
  readonly type: 'expression';
  readonly reads?: readonly Read[];
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

/**
 * Tensor arguments of a {@link TensorRule}: the gradient `g`, every state slot by name, and the parameter for rules that
 * read it. The learning rate, where it is read, is among the scalars.
 */
export type TensorRuleInputs<S extends string> = { readonly [K in S]: Tensor } & {
  readonly g: Tensor;
  readonly parameter?: Tensor;
};

/** What a {@link TensorRule} returns. */
export type TensorRuleOutputs<S extends string> = { readonly [K in 'direction' | S]: Tensor };

/**
 * A rule that needs matrix algebra and is written directly in tfjs operations. It runs on every backend as it stands
 * and is never fused.
 */
export interface TensorRule<S extends string = string> extends Described, Averaging<S> {
  readonly type: 'tensor';
  readonly reads?: readonly Read[];
  /** The state kept for a gradient of this shape; a slot may have a shape of its own. */
  state(shape: Shape): Readonly<Record<S, TensorSlotSpec>>;
  scalars?(t: number, shape: Shape): Readonly<Record<string, number>>;
  /** Called inside `tf.tidy`; must not dispose or change its arguments. */
  step(x: TensorRuleInputs<S>, scalars: Readonly<Record<string, number>>, shape: Shape): TensorRuleOutputs<S>;
}

/** Fills in `type` and infers the slot names of a tensor rule. */
export function tensorRule<S extends string = never>(rule: Omit<TensorRule<S>, 'type'>): TensorRule<S> {
  return { ...rule, type: 'tensor' };
}

/** What objects of each type of rule hold; nothing else of them is read. */
const MEMBERS: Readonly<Record<Rule['type'], readonly string[]>> = {
  expression: ['state', 'step', 'scalars', 'reads', 'average'],
  tensor: ['state', 'step', 'scalars', 'reads', 'average'],
  subspace: ['projector', 'rule', 'combine', 'refresh', 'onRefresh', 'wrapped'],
};

/**
 * Checks that an object is a rule, whole and with nothing in it that no one would read: `{ ...subspace(…), step }` would
 * train as if there were no `step`.
 *
 * @param parameter What the rule is called in the message, for example `groups[0].use`.
 * @throws InvalidOptionError naming the parameter and what is missing or too much.
 */
export function requireRule(parameter: string, rule: unknown, example = 'adamW()'): asserts rule is Rule {
  requirePart(parameter, rule, 'rule', `a rule such as ${example}`);
  const { type, kind } = rule as Rule;
  const members = Object.hasOwn(MEMBERS, type) ? MEMBERS[type] : undefined;
  if (members === undefined) {
    const types = Object.keys(MEMBERS);
    throw new InvalidOptionError({
      parameter: `${parameter}.type`,
      found: type,
      expected: `one of ${types.join(', ')}`,
      ...didYouMean(type, types),
    });
  }
  const known = ['type', 'kind', 'options', ...members];
  const extra = isPlain(rule as Rule) ? Object.keys(rule as Rule).find(key => !known.includes(key)) : undefined;
  if (extra !== undefined) {
    throw new InvalidOptionError({
      parameter: `${parameter}: ${kind}`,
      found: `the key ${extra}`,
      expected: `a rule of type ${type} with the keys ${known.join(', ')} alone, as nothing reads another`,
      advice:
        type === 'subspace'
          ? 'Change what it does with wrapRule() of @frugaljs/core, or write a combine of your own.'
          : (didYouMean(extra, known)?.advice ?? `Remove ${extra}, or let \`step\` use it.`),
    });
  }
  requireReads(`${parameter}: ${kind}.reads`, rule);
  if (type === 'subspace') requireAsDescribed(parameter, rule as SubspaceRule);
}

/** What there is to read. */
export const READS: readonly Read[] = ['parameter', 'learningRate'];

/** Checks what a part says that it reads. */
export function requireReads(parameter: string, part: unknown): void {
  const { reads } = part as { readonly reads?: unknown };
  if (reads === undefined) return;
  const unknown = Array.isArray(reads) ? reads.find(name => !READS.includes(name)) : reads;
  if (unknown === undefined) return;
  const expected = `a list of ${READS.join(', ')}`;
  throw new InvalidOptionError({ parameter, found: unknown, expected, ...didYouMean(unknown, READS) });
}

/**
 * Checks that an object is a combine, whole: one without `state` would fail at the first update, in words of JavaScript.
 *
 * @throws InvalidOptionError naming the parameter and what is missing.
 */
export function requireCombine(parameter: string, combine: unknown): asserts combine is Combine {
  requirePart(parameter, combine, 'combine', 'drop() or residual(signSgd())');
  const { rule, tolerance, share = 1 } = combine as Combine;
  if (rule !== null) requireRule(`${parameter}.rule`, rule ?? undefined, 'signSgd(), or null');
  requireReads(`${parameter}.reads`, combine);
  if (!Number.isFinite(share)) {
    throw new InvalidOptionError({ parameter: `${parameter}.share`, found: share, expected: 'a number' });
  }
  if (typeof tolerance === 'number' && tolerance >= 0) return;
  throw new InvalidOptionError({
    parameter: `${parameter}.tolerance`,
    found: tolerance,
    expected: 'a number of at least 0',
  });
}

/** A subspace is saved by its options: a part that was exchanged in a copy would train, and another one be saved. */
function requireAsDescribed(parameter: string, rule: SubspaceRule): void {
  const { options, wrapped } = rule;
  if (wrapped !== undefined) {
    const same = (['projector', 'rule', 'refresh', 'onRefresh'] as const).every(name => rule[name] === wrapped[name]);
    if (same && rule.combine.wrapped === wrapped.combine) {
      requireAsDescribed(parameter, wrapped);
      return;
    }
    throw new InvalidOptionError({
      parameter: `${parameter}: ${rule.kind}`,
      found: 'parts that are not those of the subspace that it wraps',
      expected: 'a rule as the wrapper returns it',
      advice: 'Wrap the changed subspace.',
    });
  }
  const exchanged = (['projector', 'rule', 'combine'] as const).find(name => {
    const described = options[name] as Partial<Described> | undefined;
    return described?.kind !== rule[name]?.kind || described?.options !== rule[name]?.options;
  });
  const every = Number.isFinite(rule.refresh?.every) ? rule.refresh.every : null;
  const refresh = options['refresh'] as { every?: number | null; when?: RefreshEvent } | undefined;
  const changed =
    exchanged ??
    (refresh?.every !== every || JSON.stringify(refresh?.when) !== JSON.stringify(rule.refresh.when)
      ? 'refresh'
      : options['onRefresh'] !== rule.onRefresh
        ? 'onRefresh'
        : undefined);
  if (changed === undefined) return;
  throw new InvalidOptionError({
    parameter: `${parameter}: subspace.${changed}`,
    found: 'another one than its options describe',
    expected: 'a rule as subspace() returns it',
    advice: `Make it anew: subspace({ …, ${changed} }).`,
  });
}

/** True for what `{ … }` makes. Instances of classes may hold what is their own. */
function isPlain(part: object): boolean {
  const prototype: unknown = Object.getPrototypeOf(part);
  return prototype === Object.prototype || prototype === null;
}

/**
 * Checks that declared slots have an extent that there is.
 *
 * @param takesShapes Whether a slot may have a shape of its own, as those of tensor rules.
 */
export function requireSlots(kind: string, slots: Readonly<Record<string, TensorSlotSpec>>, takesShapes = false): void {
  for (const [name, slot] of Object.entries(slots)) {
    const extent = slot?.extent;
    const isShape = typeof extent === 'object' && extent !== null && 'shape' in extent && isShapeOf(extent.shape);
    if (!(isShape && takesShapes) && knownExtent(extent) === undefined) {
      throw unknownExtent(`${kind}.state.${name}`, extent, isShape ? SHAPES_ELSEWHERE : undefined);
    }
  }
}

const SHAPES_ELSEWHERE =
  'Slots with a shape of their own need a rule in tfjs operations: tensorRule() of @frugaljs/core.';

function isShapeOf(shape: unknown): shape is Shape {
  return Array.isArray(shape) && shape.every(size => Number.isSafeInteger(size) && size >= 0);
}
