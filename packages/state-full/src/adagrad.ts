import { type ExpressionRule, expressionRule, requireKnownKeys, requireNumber } from '@frugaljs/core';
import { adaptiveDirection } from './moments.js';

export interface AdagradOptions {
  /** Added to the root, at least 0. Default 1e-10. With 0, entries that never had a gradient do not move. */
  readonly epsilon?: number;
  /** What the sum of squares starts from, at least 0. Default 0. */
  readonly initialAccumulator?: number;
  /** γ: step t is divided by 1 + γ (t - 1). At least 0. Default 0. */
  readonly learningRateDecay?: number;
}

/**
 * Adagrad in PyTorch's form: the gradient over the root of the sum of its squares.
 *
 *     s ← s + g²,   d = g / (√s + ε) / (1 + γ (t - 1))
 *
 * Any shape. State: `s` per element, 4 bytes per element, from `initialAccumulator`. |d| ≤ 1, and in the first step the
 * sign of g when |g| ≫ ε and nothing was there before. The sum never forgets: steps get shorter by themselves.
 *
 * @throws InvalidOptionError for an unknown option or a value outside its interval.
 * @see Duchi, Hazan and Singer, Adaptive Subgradient Methods for Online Learning and Stochastic Optimization, JMLR 12, 2011,
 *   Figure 1 (diagonal matrices); `torch.optim.Adagrad` for `initialAccumulator` and `learningRateDecay`.
 */
export function adagrad(options: AdagradOptions = {}): ExpressionRule<'s'> {
  requireKnownKeys('adagrad', options, ['epsilon', 'initialAccumulator', 'learningRateDecay']);
  const { epsilon = 1e-10, initialAccumulator = 0, learningRateDecay = 0 } = options;
  requireNumber('adagrad.epsilon', epsilon, '[0, Infinity)');
  requireNumber('adagrad.initialAccumulator', initialAccumulator, '[0, Infinity)');
  requireNumber('adagrad.learningRateDecay', learningRateDecay, '[0, Infinity)');
  return expressionRule<'s', 'scale'>({
    kind: 'adagrad',
    options: { epsilon, initialAccumulator, learningRateDecay },
    state: () => ({ s: { extent: 'element', initial: initialAccumulator, degree: 2 } }),
    scalars: t => ({ scale: 1 / (1 + learningRateDecay * (t - 1)) }),
    step: ({ g, s, scale }) => {
      const next = s.add(g.square());
      return { direction: adaptiveDirection(g, scale, next.sqrt(), epsilon), s: next };
    },
  });
}
