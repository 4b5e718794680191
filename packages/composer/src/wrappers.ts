import {
  norm,
  type Rule,
  requireKnownKeys,
  requireNumber,
  requireOneOf,
  select,
  type Value,
  wrapRule,
} from '@frugaljs/core';

// What changes the direction of any rule: one function each, made with wrapRule() of core.

export interface LimitGrowthOptions {
  /** γ: the norm of a direction is at most γ times that of the one before. `Infinity` limits nothing. Default 1.01. */
  readonly factor?: number;
  /** Added to the norm before, so that a direction of zeros does not hold all later ones. Default 1e-8. */
  readonly epsilon?: number;
}

/**
 * Limits how fast the direction of a rule grows, the norm-growth limiter of Fira and APOLLO:
 *
 *     d ← d · min(1, γ (‖d_prev‖ + ε) / ‖d‖)
 *
 * with d_prev the limited direction of the step before; the first one is not limited. State: one number per parameter,
 * the norm before (-1 when there is none yet).
 *
 * @throws InvalidOptionError for what is no rule, an unknown option or a value out of range.
 *
 * Source: Fira (arXiv 2410.01623), section 4.3.
 */
export function limitGrowth<R extends Rule>(rule: R, options: LimitGrowthOptions = {}): R {
  const { factor, epsilon } = requireLimit('limitGrowth', options);
  return wrapRule<'previous', never>(rule, {
    kind: 'limitGrowth',
    // JSON has no infinity.
    options: { factor: Number.isFinite(factor) ? factor : null, epsilon },
    state: () => ({ previous: NORM_BEFORE }),
    step: ({ direction, previous }) => {
      const limited = limitedGrowth(direction, previous, factor, epsilon);
      return { direction: limited.value, previous: limited.norm };
    },
  }) as R;
}

/** The slot of the norm before. */
export const NORM_BEFORE = { extent: 'tensor', initial: -1 } as const;

/** A value whose norm grows by a factor at most, and that norm. */
export function limitedGrowth(
  value: Value,
  previous: Value,
  factor: number,
  epsilon: number,
): { readonly value: Value; readonly norm: Value } {
  const size = norm(value);
  if (factor === Number.POSITIVE_INFINITY) return { value, norm: size };
  const limit = previous.add(epsilon).mul(factor);
  const isLimited = previous.greaterEqual(0).mul(size.greater(limit));
  return { value: value.mul(select(isLimited, limit.div(size), 1)), norm: select(isLimited, limit, size) };
}

/** The options of a limiter, checked; null stands for Infinity, as in JSON. */
export function requireLimit(owner: string, options: LimitGrowthOptions): Required<LimitGrowthOptions> {
  requireKnownKeys(owner, options, ['factor', 'epsilon']);
  const { factor: given = 1.01, epsilon = 1e-8 } = options;
  const factor = given ?? Number.POSITIVE_INFINITY;
  requireNumber(`${owner}.factor`, factor, '[1, Infinity]');
  requireNumber(`${owner}.epsilon`, epsilon, '[0, Infinity)');
  return { factor, epsilon };
}

export interface BiasCorrectedOptions {
  /** Default 0.9. */
  readonly beta1?: number;
  /** Default 0.999. */
  readonly beta2?: number;
}

/**
 * Adam's correction of bias, on the direction of a whole composition:
 *
 *     d ← d · √(1 - β₂ᵗ) / (1 - β₁ᵗ)
 *
 * with t the steps of the rule. Fira and APOLLO correct the step size, after the norms were taken and their growth was
 * limited; with `adamW({ biasCorrection: false })` inside and this around, a composition does so too. No state.
 *
 * @throws InvalidOptionError for what is no rule, an unknown option or a value out of range.
 */
export function biasCorrected<R extends Rule>(rule: R, options: BiasCorrectedOptions = {}): R {
  requireKnownKeys('biasCorrected', options, ['beta1', 'beta2']);
  const { beta1 = 0.9, beta2 = 0.999 } = options;
  requireNumber('biasCorrected.beta1', beta1, '[0, 1)');
  requireNumber('biasCorrected.beta2', beta2, '[0, 1)');
  return wrapRule<never, 'correction'>(rule, {
    kind: 'biasCorrected',
    options: { beta1, beta2 },
    scalars: t => ({ correction: Math.sqrt(1 - beta2 ** t) / (1 - beta1 ** t) }),
    step: ({ direction, correction }) => ({ direction: direction.mul(correction) }),
  }) as R;
}

export interface CautiousOptions {
  /** The share of entries that keep their direction counts as this at least. Default 1e-3. */
  readonly least?: number;
}

/**
 * Leaves out the entries of a direction that point against the gradient, and scales the rest up to make up for them:
 *
 *     mask = 1 where d · g > 0, else 0,   d ← d · mask / max(mean(mask), least)
 *
 * No state.
 *
 * @throws InvalidOptionError for what is no rule, an unknown option or a value out of range.
 *
 * Source: Cautious Optimizers (arXiv 2411.16085), Algorithm 1 and its public code.
 */
export function cautious<R extends Rule>(rule: R, options: CautiousOptions = {}): R {
  requireKnownKeys('cautious', options, ['least']);
  const { least = 1e-3 } = options;
  requireNumber('cautious.least', least, '(0, 1]');
  return wrapRule(rule, {
    kind: 'cautious',
    options: { least },
    step: ({ g, direction }) => {
      // The product of two small numbers would be 0.
      const agrees = g.sign().mul(direction.sign()).greater(0);
      return { direction: select(agrees, direction.div(agrees.mean().maximum(least)), 0) };
    },
  }) as R;
}

export interface EmaOptions {
  /** Default 0.9. */
  readonly beta?: number;
}

/**
 * Replaces the direction of a rule by its average over the steps:
 *
 *     a ← β a + (1 - β) d,   d ← a / (1 - βᵗ)
 *
 * State: one number per element. With `sgd()` inside this is momentum with correction of bias.
 *
 * @throws InvalidOptionError for what is no rule, an unknown option or a value out of range.
 */
export function ema<R extends Rule>(rule: R, options: EmaOptions = {}): R {
  requireKnownKeys('ema', options, ['beta']);
  const { beta = 0.9 } = options;
  requireNumber('ema.beta', beta, '[0, 1)');
  return wrapRule<'average', 'correction'>(rule, {
    kind: 'ema',
    options: { beta },
    state: () => ({ average: { extent: 'element' } }),
    scalars: t => ({ correction: 1 / (1 - beta ** t) }),
    step: ({ direction, average, correction }) => {
      const next = average.mul(beta).add(direction.mul(1 - beta));
      return { direction: next.mul(correction), average: next };
    },
  }) as R;
}

const PER = ['tensor', 'row', 'column'] as const;

export interface NormalizedOptions {
  /** What has the norm 1: the whole direction, or each row or column of it. Default `tensor`. */
  readonly per?: (typeof PER)[number];
  /** `l2`: the square root of the sum of squares. `rms`: of their mean, so that entries have size 1. Default `l2`. */
  readonly size?: (typeof SIZES)[number];
}

const SIZES = ['l2', 'rms'] as const;

/**
 * Gives the direction of a rule the norm 1, or the root mean square 1: d ← d / ‖d‖, of the whole or of each row or column;
 * zeros stay zeros. With the norm, the learning rate is the length of a step. No state.
 *
 * @throws InvalidOptionError for what is no rule, an unknown option or a value out of range.
 */
export function normalized<R extends Rule>(rule: R, options: NormalizedOptions = {}): R {
  requireKnownKeys('normalized', options, ['per', 'size']);
  const size = requireOneOf('normalized.size', options.size ?? 'l2', SIZES);
  const per = requireOneOf('normalized.per', options.per ?? 'tensor', PER);
  return wrapRule(rule, {
    kind: 'normalized',
    options: { per, size },
    step: ({ direction }) => {
      if (size === 'l2') return { direction: direction.divNoNan(norm(direction, per)) };
      const largest = direction.abs().max(per);
      const scaledDown = direction.divNoNan(largest);
      return { direction: scaledDown.divNoNan(scaledDown.square().mean(per).sqrt()) };
    },
  }) as R;
}

/**
 * Multiplies the direction of a rule: d ← factor · d. No state. For a whole group, `lrScale` does the same; this is for a
 * rule inside a composition.
 *
 * @throws InvalidOptionError for what is no rule, or a factor below 0.
 */
export function scaled<R extends Rule>(rule: R, factor: number): R {
  requireNumber('scaled.factor', factor, '[0, Infinity)');
  return wrapRule(rule, {
    kind: 'scaled',
    options: { factor },
    step: ({ direction }) => ({ direction: direction.mul(factor) }),
  }) as R;
}

export interface AveragedOptions {
  /** δ: how much of the average remains from step to step, in [0, 1). Default 0.999. */
  readonly decay?: number;
}

/**
 * Keeps an exponential average of the weights beside a rule, which trains as it would alone:
 *
 *     a ← δ a + (1 - δ) W,   c ← δ c + (1 - δ),   average = (δ a + (1 - δ) W) / (δ c + (1 - δ))
 *
 * with W the weights before the step in the first line, and those of now in the last: the weights of all steps, the
 * last with 1 - δ, made up for the start at 0. `withAveragedWeights()` of the optimizer evaluates and saves with it. Around a whole
 * rule only. A variable at rest, as between the turns of its block, adds nothing. State: one number per element, and one.
 *
 * @throws InvalidOptionError for what is no rule, an unknown option or a value out of range, and for a rule that keeps an
 *   average itself.
 *
 * Source: Polyak and Juditsky, 1992, in the exponential form that is common for networks.
 */
export function averaged<R extends Rule>(rule: R, options: AveragedOptions = {}): R {
  requireKnownKeys('averaged', options, ['decay']);
  const { decay = 0.999 } = options;
  requireNumber('averaged.decay', decay, '[0, 1)');
  return wrapRule<'averageWeights' | 'averageMass', never>(rule, {
    kind: 'averaged',
    options: { decay },
    reads: ['parameter'],
    state: () => ({ averageWeights: { extent: 'element' }, averageMass: { extent: 'tensor' } }),
    step: ({ direction, parameter, averageWeights, averageMass }) => ({
      direction,
      averageWeights: averageWeights.mul(decay).add(parameter!.mul(1 - decay)),
      averageMass: averageMass.mul(decay).add(1 - decay),
    }),
    average: ({ parameter, averageWeights, averageMass }) =>
      averageWeights
        .mul(decay)
        .add(parameter.mul(1 - decay))
        .div(averageMass.mul(decay).add(1 - decay)),
  }) as R;
}

export interface ScheduleFreeOptions {
  /** β: where between z and x gradients are taken, in (0, 1]. Default 0.9. */
  readonly beta?: number;
  /** λ of the decay that is part of the step of z. Default 0. */
  readonly weightDecay?: number;
  /** r: later steps count tʳ times as much in x, at least 0. Default 0. */
  readonly power?: number;
  /** p: a step counts as the pth power of the largest learning rate until then, at least 0. Default 2. */
  readonly ratePower?: number;
}

/**
 * Trains without a schedule: the weights in training y lie between a sequence z that takes the steps of the rule, and x, the
 * average of z, which is what is evaluated and published.
 *
 *     d = rule(g) + λ y,         z ← z - η d
 *     w = tʳ (max η)ᵖ,   S ← S + w,   c = w / S
 *     x ← (1 - c) x + c z,       y ← (1 - β) z + β x
 *
 * The variable is y, the state s = z - y, and x = y - s (1 - β) / β: `withAveragedWeights()` of the optimizer gives x. What else moves
 * the variable, such as the decay of its group or a wrapper around this, moves all three. While η is 0 nothing moves. β
 * takes the place of momentum: use a rule without, such as `rmsprop({ alpha: 0.999, biasCorrection: true })`. Around a
 * whole rule only. State: one number per element, and two.
 *
 * @throws InvalidOptionError for what is no rule, an unknown option or a value out of range, and for a rule that keeps an
 *   average itself.
 *
 * Source: Defazio et al., The Road Less Scheduled (arXiv 2405.15682), Algorithm 1 and section 4.2, and its public code for w.
 */
export function scheduleFree<R extends Rule>(rule: R, options: ScheduleFreeOptions = {}): R {
  requireKnownKeys('scheduleFree', options, ['beta', 'weightDecay', 'power', 'ratePower']);
  const { beta = 0.9, weightDecay = 0, power = 0, ratePower = 2 } = options;
  requireNumber('scheduleFree.beta', beta, '(0, 1]');
  requireNumber('scheduleFree.weightDecay', weightDecay, '[0, Infinity)');
  requireNumber('scheduleFree.power', power, '[0, Infinity)');
  requireNumber('scheduleFree.ratePower', ratePower, '[0, Infinity)');
  return wrapRule<'toStepped' | 'largestRate' | 'totalWeight', 'age'>(rule, {
    kind: 'scheduleFree',
    options: { beta, weightDecay, power, ratePower },
    reads: weightDecay === 0 ? ['learningRate'] : ['learningRate', 'parameter'],
    state: () => ({
      toStepped: { extent: 'element' },
      largestRate: { extent: 'tensor' },
      totalWeight: { extent: 'tensor' },
    }),
    scalars: t => ({ age: t ** power }),
    step: ({ direction, parameter, toStepped, largestRate: largestBefore, totalWeight: totalBefore, age, ...x }) => {
      const rate = x.learningRate!;
      const d = weightDecay === 0 ? direction : direction.add(parameter!.mul(weightDecay));
      const largestRate = largestBefore.maximum(rate);
      // Weights in units of the present one's power of the rate, which alone might leave float32.
      const weight = ratePower === 0 ? age : largestRate.sign().mul(age);
      const before = ratePower === 0 ? 1 : raised(largestBefore.divNoNan(largestRate), ratePower);
      const totalWeight = totalBefore.mul(before).add(weight);
      const c = weight.divNoNan(totalWeight);
      // y moves by c (z - y) - η (1 - β (1 - c)) d, and the optimizer takes η times what is returned here.
      const towards = d.mul(c.mul(beta).add(1 - beta)).sub(toStepped.mul(c).divNoNan(rate));
      return { direction: towards, toStepped: toStepped.add(towards.sub(d).mul(rate)), largestRate, totalWeight };
    },
    average: ({ parameter, toStepped }) => parameter.sub(toStepped.mul((1 - beta) / beta)),
  }) as R;
}

/** xᵖ of a value in [0, 1], for p above 0. With ½ and whole numbers up to 8 it is fused everywhere. */
function raised(x: Value, power: number): Value {
  if (power === 0.5) return x.sqrt();
  if (power > 8 || !Number.isInteger(power)) return select(x.greater(0), x.log().mul(power).exp(), 0);
  let product = x;
  for (let i = 1; i < power; i++) product = product.mul(x);
  return product;
}
