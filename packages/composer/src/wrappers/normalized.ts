import { norm, type Rule, requireKnownKeys, requireOneOf, wrapRule } from '@frugaljs/core';

const PER = ['tensor', 'row', 'column'] as const;

export interface NormalizedOptions {
  /** What has the norm 1: the whole direction, or each row or column of it. Default `tensor`. */
  readonly per?: (typeof PER)[number];
}

/**
 * Gives the direction of a rule the norm 1: d ← d / ‖d‖₂, of the whole or of each row or column; zeros stay zeros. The
 * learning rate then is the length of a step. No state.
 *
 * @throws InvalidOptionError for what is no rule, an unknown option or a value out of range.
 */
export function normalized<R extends Rule>(rule: R, options: NormalizedOptions = {}): R {
  requireKnownKeys('normalized', options, ['per']);
  const per = requireOneOf('normalized.per', options.per ?? 'tensor', PER);
  return wrapRule(rule, {
    kind: 'normalized',
    options: { per },
    step: ({ direction }) => ({ direction: direction.divNoNan(norm(direction, per)) }),
  }) as R;
}
