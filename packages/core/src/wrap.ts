import { InvalidOptionError } from './errors.js';
import { interpret } from './graph/interpreter.js';
import { type Operand, select, type Value } from './graph/tracer.js';
import { type Described, describePart, requireKnownKeys, requirePart } from './options.js';
import {
  type Averaging,
  type Combine,
  type ExpressionRule,
  type Read,
  type Rule,
  requireCombine,
  requireReads,
  requireRule,
  type SubspaceRule,
  type TensorRule,
} from './rule.js';
import type { Extent, Shape, SlotSpec } from './slots.js';
import { traceMethod } from './trace.js';

/** Symbolic arguments of a wrapper's step: its slots and per-step scalars by name, and these. */
export type WrapperInputs<S extends string, C extends string> = { readonly [K in S]: Value } & {
  readonly [K in C]: Value;
} & {
  /** The gradient that the wrapped rule got. */
  readonly g: Value;
  /** The direction that it found. */
  readonly direction: Value;
  readonly parameter?: Value;
  readonly learningRate?: Value;
};

/** What is done to the direction of a rule, whichever rule it is. */
export interface Wrapper<S extends string = string, C extends string = string> extends Described, Averaging<S> {
  readonly reads?: readonly Read[];
  /** What the wrapper keeps beside the state of the rule. Default: nothing. */
  state?(shape: Shape): Readonly<Record<S, SlotSpec>>;
  /** Numbers that change from step to step; `t` counts the steps of the rule from 1. */
  scalars?(t: number, shape: Shape): Readonly<Record<C, number>>;
  /** From the direction of the rule to another one, and the next value of every slot. */
  step(x: WrapperInputs<S, C>, shape: Shape): { readonly [K in 'direction' | S]: Operand };
}

/**
 * Does something to the direction of a rule: d ← step(g, d). The result is a rule of the same type, for which all holds
 * that holds of the rule: it fuses with it, it can be wrapped again, and it can stand inside a subspace or on a residual.
 * Its state is the rule's, under the same names, and that of the wrapper; a slot whose name the rule has already gets a
 * number after it.
 *
 * Around a subspace the step sees the direction in the full space, after the combine. While nothing of a parameter is
 * trained, as between the turns of a block, it is not called.
 *
 * ```
 * const halved = (rule: Rule) =>
 *   wrapRule(rule, { kind: 'halved', options: {}, step: ({ direction }) => ({ direction: direction.mul(0.5) }) });
 * ```
 *
 * The options of the result are those of the wrapper and `rule`, the description of the rule.
 *
 * @throws InvalidOptionError for what is no rule or no wrapper.
 */
export function wrapRule<S extends string, C extends string>(rule: ExpressionRule, by: Wrapper<S, C>): ExpressionRule;
export function wrapRule<S extends string, C extends string>(rule: SubspaceRule, by: Wrapper<S, C>): SubspaceRule;
export function wrapRule<S extends string, C extends string>(rule: Rule, by: Wrapper<S, C>): Rule;
export function wrapRule(rule: Rule, by: Wrapper): Rule {
  requireWrapper(by);
  requireRule(`${by.kind}.rule`, rule);
  const described = { kind: by.kind, options: { rule: describePart(rule), ...by.options } };
  switch (rule.type) {
    case 'expression':
      return { ...described, type: 'expression', ...wrappedExpression(rule, by) };
    case 'tensor':
      return { ...described, type: 'tensor', ...wrappedTensorRule(rule, by) };
    case 'subspace':
      return { ...rule, ...described, combine: wrapCombine(rule.combine, by), wrapped: rule };
  }
}

/** Does something to the direction of a combine, as {@link wrapRule} does to that of a rule. */
export function wrapCombine(combine: Combine, by: Wrapper): Combine {
  requireWrapper(by);
  requireCombine(`${by.kind}.combine`, combine);
  return {
    kind: by.kind,
    options: { combine: describePart(combine), ...by.options },
    rule: combine.rule,
    tolerance: combine.tolerance,
    ...(combine.share === undefined ? {} : { share: combine.share }),
    ...(combine.feedsBack === undefined ? {} : { feedsBack: combine.feedsBack }),
    reads: union(combine.reads, by.reads),
    state: shape => ({ ...combine.state(shape), ...ownNames(combine, by, shape).renamed(by.state?.(shape)) }),
    ...scalarsOf(combine, by),
    ...(combine.measure === undefined ? {} : { measure: (x, site) => combine.measure!(x, site) }),
    ...averageOf(combine, by),
    apply: (x, site) => stepAfter(x, combine.apply(x, site), by, ownNames(combine, by, site.shape), site.shape),
    wrapped: combine,
  };
}

/**
 * ‖x‖₂ of the whole tensor, or of each row or column; 0 for zeros. Scaled by the largest entry first, so that no square
 * leaves float32, however large or small the entries are.
 */
export function norm(x: Value, per: Exclude<Extent, 'element'> = 'tensor'): Value {
  const largest = x.abs().max(per);
  const scale = select(largest.equal(0), 1, largest);
  return x.div(scale).square().sum(per).sqrt().mul(largest);
}

type Members<R> = Pick<R, Extract<keyof R, 'reads' | 'state' | 'scalars' | 'step' | 'average'>>;

function wrappedExpression(rule: ExpressionRule, by: Wrapper): Members<ExpressionRule> {
  return {
    reads: union(rule.reads, by.reads),
    state: shape => ({ ...rule.state(shape), ...ownNames(rule, by, shape).renamed(by.state?.(shape)) }),
    ...scalarsOf(rule, by),
    ...averageOf(rule, by),
    step: (x, shape) => stepAfter(x, rule.step(x, shape), by, ownNames(rule, by, shape), shape),
  };
}

/** The rule in tfjs operations, and after it the wrapper's graph. */
function wrappedTensorRule(rule: TensorRule, by: Wrapper): Members<TensorRule> {
  return {
    reads: union(rule.reads, by.reads),
    state: shape => ({ ...rule.state(shape), ...ownNames(rule, by, shape).renamed(by.state?.(shape)) }),
    ...scalarsOf(rule, by),
    ...averageOf(rule, by),
    step: (x, scalars, shape) => {
      const names = ownNames(rule, by, shape);
      const { direction, ...next } = rule.step(x, scalars, shape);
      const part = {
        kind: by.kind,
        method: 'step',
        inputs: { g: 'element', direction: 'element' },
        slots: by.state?.(shape) ?? {},
        scalars: Object.keys(by.scalars?.(1, shape) ?? {}),
        reads: by.reads,
      } as const;
      const graph = traceMethod(part, inputs => by.step(inputs as Parameters<typeof by.step>[0], shape));
      const inputs = { ...x, ...names.own(x), direction: direction! };
      const outputs = interpret(graph, inputs, { ...scalars, ...names.own(scalars) }, shape);
      const { direction: changed, ...slots } = outputs;
      return { ...next, ...names.renamed(slots), direction: changed! };
    },
  };
}

/** The step of a wrapper on what a rule or a combine wrote down. */
function stepAfter(
  x: Readonly<Record<string, Value>> & { readonly g: Value },
  { direction, ...next }: Readonly<Record<string, Operand>>,
  by: Wrapper,
  names: OwnNames,
  shape: Shape,
): { direction: Operand } & Record<string, Operand> {
  if (direction === undefined) return { ...next } as { direction: Operand };
  // What is not declared is not looked at: the tracer notes who asks for it.
  const read = Object.fromEntries((by.reads ?? []).map(name => [name, x[name]!]));
  const inputs = { ...names.own(x), ...read, g: x.g, direction: x.g.tracer.operand(direction, 'direction') };
  const { direction: changed, ...slots } = by.step(inputs as Parameters<typeof by.step>[0], shape);
  return { ...next, ...names.renamed(slots), direction: changed! };
}

/** The slots and scalars of a wrapper under the names that they have beside those of the rule. */
class OwnNames {
  constructor(private readonly taken: ReadonlyMap<string, string>) {}

  /** From the wrapper's names to those in the whole. */
  renamed<T>(values: Readonly<Record<string, T>> = {}): Record<string, T> {
    return Object.fromEntries(Object.entries(values).map(([name, value]) => [this.taken.get(name) ?? name, value]));
  }

  /** What the whole has of the wrapper, under the wrapper's names. */
  own<T>(values: Readonly<Record<string, T>>): Record<string, T> {
    const own: Record<string, T> = {};
    for (const [name, given] of this.taken) if (values[given] !== undefined) own[name] = values[given];
    return own;
  }
}

/** What has slots and per-step numbers. */
interface Numbered {
  state(shape: Shape): Readonly<Record<string, unknown>>;
  scalars?(t: number, shape: Shape): Readonly<Record<string, number>>;
}

function ownNames(rule: Numbered, by: Wrapper, shape: Shape): OwnNames {
  const taken = new Set([...Object.keys(rule.state(shape)), ...Object.keys(rule.scalars?.(1, shape) ?? {})]);
  const names = new Map<string, string>();
  for (const name of [...Object.keys(by.state?.(shape) ?? {}), ...Object.keys(by.scalars?.(1, shape) ?? {})]) {
    let given = name;
    for (let i = 2; taken.has(given); i++) given = `${name}${i}`;
    taken.add(given);
    names.set(name, given);
  }
  return new OwnNames(names);
}

/** The per-step numbers of both. Those of a rule alone are asked for as before: a step is no place to look for names. */
function scalarsOf(rule: Numbered, by: Wrapper): Pick<Numbered, 'scalars'> {
  if (by.scalars === undefined) {
    return rule.scalars === undefined ? {} : { scalars: (t, shape) => rule.scalars!(t, shape) };
  }
  const known = new Map<string, OwnNames>();
  return {
    scalars: (t, shape) => {
      const names = known.get(shape.join()) ?? ownNames(rule, by, shape);
      known.set(shape.join(), names);
      return { ...rule.scalars?.(t, shape), ...names.renamed(by.scalars!(t, shape)) };
    },
  };
}

/** The average of the weights that one of the two keeps. */
function averageOf(rule: Numbered & Described & Averaging, by: Wrapper): Averaging {
  if (by.average === undefined) {
    return rule.average === undefined ? {} : { average: (x, shape) => rule.average!(x, shape) };
  }
  if (rule.average !== undefined) {
    throw new InvalidOptionError({
      parameter: `${by.kind}.rule`,
      found: `${rule.kind}, which keeps an average of the weights itself`,
      expected: 'one average of the weights',
      advice: `Leave out ${by.kind}, or that inside.`,
    });
  }
  return {
    average: (x, shape) => {
      const own = { ...ownNames(rule, by, shape).own(x), parameter: x.parameter };
      return by.average!(own as Parameters<NonNullable<Averaging['average']>>[0], shape);
    },
  };
}

function union(a: readonly Read[] = [], b: readonly Read[] = []): readonly Read[] {
  return [...new Set([...a, ...b])];
}

const MEMBERS: readonly string[] = ['kind', 'options', 'reads', 'state', 'scalars', 'step', 'average'];

function requireWrapper(by: unknown): asserts by is Wrapper {
  requirePart('wrapper', by, 'wrapper', 'a wrapper { kind, options, step }');
  requireKnownKeys(`wrapper ${(by as Wrapper).kind}`, by as Wrapper, MEMBERS);
  requireReads(`${(by as Wrapper).kind}.reads`, by);
}
