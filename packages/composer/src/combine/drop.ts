import type { Combine } from '@frugaljs/core';

/**
 * Forgets what the subspace misses: direction = up(d). The update has the rank or the support of the subspace, as in
 * GaLore (Zhao et al. 2024) and BAdam (Luo et al. 2024).
 */
export function drop(): Combine<never> {
  return {
    kind: 'drop',
    options: {},
    rule: null,
    tolerance: 0,
    state: () => ({}),
    apply: ({ lifted }) => ({ direction: lifted }),
  };
}
