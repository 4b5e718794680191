import {
  type ExpressionRule,
  expressionRule,
  InvalidOptionError,
  requireBoolean,
  requireKnownKeys,
  requireNumber,
  requireOneOf,
} from '@frugaljs/core';

/** `pytorch`: m accumulates gradients (δ = `dampening`). `ema`: m averages them (δ = μ). */
export type MomentumConvention = 'pytorch' | 'ema';

/**
 * What m holds after the first step. `undamped`: g₁, as in PyTorch, where dampening starts with the second step.
 * `zero`: m₀ = 0, hence (1 - δ) g₁. `firstGradient`: m₀ = g₁, hence (1 + μ - δ) g₁, as the projected optimizers of
 * FRUGAL's code do after every reset.
 */
export type MomentumStart = 'undamped' | 'zero' | 'firstGradient';

export interface SgdmOptions {
  /** μ, in [0, 1). Default 0.9. With 0 there is no state and d = g. */
  readonly momentum?: number;
  /** Default `pytorch`. */
  readonly convention?: MomentumConvention;
  /** δ, in [0, 1]. Default 0; with the convention `ema` it is μ and need not be given. */
  readonly dampening?: number;
  /** Default `undamped` for `pytorch` and `zero` for `ema`. */
  readonly initial?: MomentumStart;
  /** Look one step ahead: d = (1 - δ) g + μ m. Needs momentum, and with `pytorch` no dampening. Default false. */
  readonly nesterov?: boolean;
  /** Divide by 1 - μᵗ what started at 0. For the convention `ema` with `initial: 'zero'` only. Default false. */
  readonly biasCorrection?: boolean;
  /** Take the sign of the direction (Signum). Default false. */
  readonly sign?: boolean;
}

const KEYS = ['momentum', 'convention', 'dampening', 'initial', 'nesterov', 'biasCorrection', 'sign'];

/**
 * SGD with momentum, in each of the conventions in use:
 *
 *     m ← μ m + (1 - δ) g,   d = m   (Nesterov: d = (1 - δ) g + μ m;   `sign`: sign(d))
 *
 * with the first step as {@link MomentumStart} says. From m₀ = 0 the two conventions differ by the constant 1 - μ
 * only: `pytorch` with learning rate η takes the steps of `ema` with η / (1 - μ). With `biasCorrection` d is divided
 * by 1 - μᵗ (Nesterov: 1 - μᵗ⁺¹), the sum of its weights.
 *
 * Any shape. State: `m` per element, 4 bytes per element; none when μ = 0. Weight decay is the optimizer's, decoupled:
 * PyTorch's SGD instead adds λ W to the gradient.
 *
 * `sgdm({ convention: 'ema', biasCorrection: true })` is the rule of the non-adaptive layers in Zhao et al.,
 * arXiv 2407.07972, section 3.2.
 *
 * With the convention `pytorch` m is a sum, up to 1 / (1 - μ) times as large as the largest gradient: gradients above
 * 3.4e38 (1 - μ) can make it infinite, which `clip` prevents.
 *
 * @throws InvalidOptionError for an unknown option, a value outside its interval or a combination that the options
 *   above exclude.
 * @see Polyak 1964; Sutskever et al., On the importance of initialization and momentum, ICML 2013, section 2; FRUGAL,
 *   arXiv 2411.07837, Algorithm 2 (`ema`); Bernstein et al., signSGD, arXiv 1802.04434, Algorithm 2 (Signum).
 */
export function sgdm(options: SgdmOptions = {}): ExpressionRule {
  requireKnownKeys('sgdm', options, KEYS);
  const filled = fillIn(options);
  const { momentum, dampening, initial, nesterov, biasCorrection, sign } = filled;
  if (momentum === 0) {
    return expressionRule({
      kind: 'sgdm',
      options: filled,
      state: () => ({}),
      step: ({ g }) => ({ direction: sign ? g.sign() : g }),
    });
  }
  const firstWeight = { undamped: 1, zero: 1 - dampening, firstGradient: 1 + momentum - dampening }[initial];
  return expressionRule<'m', 'weight' | 'correction'>({
    kind: 'sgdm',
    options: filled,
    state: () => ({ m: { extent: 'element' } }),
    scalars: t => ({
      weight: t === 1 ? firstWeight : 1 - dampening,
      correction: biasCorrection ? 1 / (1 - momentum ** (nesterov ? t + 1 : t)) : 1,
    }),
    step: ({ g, m, weight, correction }) => {
      const next = m.mul(momentum).add(g.mul(weight));
      const ahead = nesterov ? next.mul(momentum).add(g.mul(1 - dampening)) : next;
      const corrected = biasCorrection ? ahead.mul(correction) : ahead;
      return { direction: sign ? corrected.sign() : corrected, m: next };
    },
  });
}

type FilledOptions = { readonly [K in keyof SgdmOptions]-?: NonNullable<SgdmOptions[K]> };

function fillIn(options: SgdmOptions): FilledOptions {
  const { momentum = 0.9, convention = 'pytorch', nesterov = false, biasCorrection = false, sign = false } = options;
  requireNumber('sgdm.momentum', momentum, '[0, 1)');
  requireOneOf('sgdm.convention', convention, ['pytorch', 'ema']);
  const ema = convention === 'ema';
  const { dampening = ema ? momentum : 0, initial = ema ? 'zero' : 'undamped' } = options;
  requireNumber('sgdm.dampening', dampening, '[0, 1]');
  requireOneOf('sgdm.initial', initial, ['undamped', 'zero', 'firstGradient']);
  requireBoolean('sgdm.nesterov', nesterov);
  requireBoolean('sgdm.biasCorrection', biasCorrection);
  requireBoolean('sgdm.sign', sign);
  if (ema && dampening !== momentum) {
    throw new InvalidOptionError({
      parameter: 'sgdm.dampening',
      found: dampening,
      expected: `the momentum, ${momentum}, with the convention ema`,
      advice: "Leave it out, or use convention: 'pytorch'.",
    });
  }
  if (nesterov && (momentum === 0 || (!ema && dampening !== 0))) {
    throw new InvalidOptionError({
      parameter: 'sgdm.nesterov',
      found: `true with momentum ${momentum} and dampening ${dampening}`,
      expected: 'momentum above 0, and with the convention pytorch no dampening',
    });
  }
  if (biasCorrection && (!ema || initial !== 'zero')) {
    throw new InvalidOptionError({
      parameter: 'sgdm.biasCorrection',
      found: `true with the convention ${convention} and initial ${initial}`,
      expected: "convention 'ema' and initial 'zero'",
      advice: 'Other starts have no bias to correct.',
    });
  }
  return { momentum, convention, dampening, initial, nesterov, biasCorrection, sign };
}
