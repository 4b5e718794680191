import { type Rule, requireKnownKeys, requireNumber, select, wrapRule } from '@frugaljs/core';

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
