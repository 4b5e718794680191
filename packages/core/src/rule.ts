import type { Tensor } from '@tensorflow/tfjs-core';
import { InvalidExpressionError, InvalidOptionError } from './errors.js';
import type { Graph, NodeExtent } from './graph/graph.js';
import { type Operand, Tracer, Value } from './graph/tracer.js';
import { type Described, didYouMean, requirePart } from './options.js';
import type { Projector } from './projector.js';
import { EXTENTS, type Extent, type Shape, type SlotSpec, type TensorSlotSpec, unknownExtent } from './slots.js';

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
  expression: ['state', 'step', 'scalars', 'readsParameter'],
  tensor: ['state', 'step', 'scalars'],
  subspace: ['projector', 'rule', 'combine', 'refresh', 'onRefresh'],
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
          ? 'A subspace cannot be wrapped: change the rule inside it, or write a combine of your own.'
          : (didYouMean(extra, known)?.advice ?? `Remove ${extra}, or let \`step\` use it.`),
    });
  }
  if (type === 'subspace') requireAsDescribed(parameter, rule as SubspaceRule);
}

/**
 * Checks that an object is a combine, whole: one without `state` would fail at the first update, in words of JavaScript.
 *
 * @throws InvalidOptionError naming the parameter and what is missing.
 */
export function requireCombine(parameter: string, combine: unknown): asserts combine is Combine {
  requirePart(parameter, combine, 'combine', 'drop() or residual(signSgd())');
  const { rule, tolerance } = combine as Combine;
  if (rule !== null) requireRule(`${parameter}.rule`, rule ?? undefined, 'signSgd(), or null');
  if (typeof tolerance === 'number' && tolerance >= 0) return;
  throw new InvalidOptionError({
    parameter: `${parameter}.tolerance`,
    found: tolerance,
    expected: 'a number of at least 0',
  });
}

/** A subspace is saved by its options: a part that was exchanged in a copy would train, and another one be saved. */
function requireAsDescribed(parameter: string, rule: SubspaceRule): void {
  const { options } = rule;
  const exchanged = (['projector', 'rule', 'combine'] as const).find(name => {
    const described = options[name] as Partial<Described> | undefined;
    return described?.kind !== rule[name]?.kind || described?.options !== rule[name]?.options;
  });
  const every = Number.isFinite(rule.refresh?.every) ? rule.refresh.every : null;
  const refresh = options['refresh'] as { every?: number | null } | undefined;
  const changed =
    exchanged ??
    (refresh?.every !== every ? 'refresh' : options['onRefresh'] !== rule.onRefresh ? 'onRefresh' : undefined);
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
 * Runs a rule's `step` on symbolic values. The graph's inputs are `g`, `parameter` and the slots; its outputs are
 * `direction` and the next value of every slot.
 *
 * @param scalarsPer With an extent, the per-step numbers become inputs of that extent: one number per row, column or
 *   element instead of one for all, for state whose parts have taken different numbers of steps.
 */
export function traceRule(rule: ExpressionRule, shape: Shape, scalarsPer: NodeExtent = 'host'): Graph {
  const slots = rule.state(shape);
  requireSlots(rule.kind, slots);
  const scalars = Object.keys(rule.scalars?.(1, shape) ?? {});
  checkNames(rule.kind, [...Object.keys(slots), ...scalars], RESERVED_NAMES);
  const tracer = new Tracer();
  const inputs: Record<string, Value> = { g: tracer.input('g', 'element'), ...slotInputs(tracer, slots) };
  let missesParameter = false;
  const miss = (): undefined => {
    missesParameter = true;
    return undefined;
  };
  if (rule.readsParameter) inputs['parameter'] = tracer.input('parameter', 'element');
  else Object.defineProperty(inputs, 'parameter', { get: miss });
  for (const name of scalars)
    inputs[name] = scalarsPer === 'host' ? tracer.scalar(name) : tracer.input(name, scalarsPer);
  const method = `${rule.kind}.step`;
  const outputs = run(
    method,
    inputs,
    () => rule.step(inputs as Parameters<typeof rule.step>[0], shape),
    () => missesParameter,
  );
  return finish(tracer, method, slots, outputs);
}

const COMBINE_INPUTS = ['g', 'lifted', 'residual', 'residualDirection'] as const;

/** Runs a combine's `apply` on symbolic values; outputs as for {@link traceRule}. */
export function traceCombine(combine: Combine, shape: Shape): Graph {
  const slots = combine.state(shape);
  requireSlots(combine.kind, slots);
  checkNames(combine.kind, Object.keys(slots), [...COMBINE_INPUTS, 'direction']);
  const tracer = new Tracer();
  const inputs: Record<string, Value> = slotInputs(tracer, slots);
  for (const name of COMBINE_INPUTS) inputs[name] = tracer.input(name, 'element');
  const method = `${combine.kind}.apply`;
  const outputs = run(method, inputs, () => combine.apply(inputs as Parameters<typeof combine.apply>[0]));
  return finish(tracer, method, slots, outputs);
}

/**
 * Runs a method on symbolic values. What JavaScript says of a name that is not there, it says without the names there are.
 *
 * @param missesParameter True when the method looked at `parameter` and was not given it.
 */
function run<T>(
  method: string,
  inputs: Readonly<Record<string, Value>>,
  call: () => T,
  missesParameter: () => boolean = () => false,
): T {
  try {
    return call();
  } catch (error) {
    const isOfOperand = error instanceof InvalidExpressionError && missesParameter();
    if (!(error instanceof TypeError) && !isOfOperand) throw error;
    const complaint = new InvalidExpressionError({
      parameter: method,
      found: missesParameter() ? '`parameter`, which the rule does not declare' : `a ${error}`,
      expected: `an expression of ${Object.keys(inputs).join(', ')} in the methods of values`,
      ...(missesParameter() ? { advice: 'Declare readsParameter: true in the rule.' } : {}),
    });
    throw Object.assign(complaint, { cause: error });
  }
}

/**
 * Checks that declared slots have an extent that there is.
 *
 * @param takesShapes Whether a slot may have a shape of its own, as those of tensor rules.
 */
export function requireSlots(kind: string, slots: Readonly<Record<string, TensorSlotSpec>>, takesShapes = false): void {
  for (const [name, slot] of Object.entries(slots)) {
    const extent = slot?.extent;
    const isShape = typeof extent === 'object' && extent !== null && isShapeOf(extent.shape);
    if (!(isShape && takesShapes) && !EXTENTS.includes(extent as Extent)) {
      throw unknownExtent(`${kind}.state.${name}`, extent, isShape ? SHAPES_ELSEWHERE : undefined);
    }
  }
}

const SHAPES_ELSEWHERE =
  'Slots with a shape of their own need a rule in tfjs operations: tensorRule() of @frugaljs/core.';

function isShapeOf(shape: unknown): shape is Shape {
  return Array.isArray(shape) && shape.every(size => Number.isSafeInteger(size) && size >= 0);
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
  if (typeof outputs !== 'object' || outputs === null || outputs instanceof Value) {
    throw new InvalidExpressionError({
      parameter: method,
      found: outputs instanceof Value ? 'a single value' : outputs,
      expected: `an object { ${['direction', ...Object.keys(slots)].join(', ')} }`,
      advice: 'Return the direction, and the next value of every declared slot, by name.',
    });
  }
  tracer.requireUsedComparisons(method, outputs);
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
