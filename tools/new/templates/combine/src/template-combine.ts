import { type Combine, requireKnownKeys, requireNumber } from '@frugaljs/core';

export interface TemplateCombineOptions {
  /** Factor on the residual, relative to the direction of the subspace. Default 1. */
  readonly scale?: number;
  /** Entries of the residual with |R_ij| ≤ tolerance · ‖G‖_∞ count as 0, with a dense projector. Default 1e-6. */
  readonly tolerance?: number;
}

/**
 * Lets what the subspace misses through as it is, the starting point of a combine:
 *
 *     direction = up(d) + scale · (G - up(down(G)))
 *
 * No rule for the residual, no state.
 *
 * @throws InvalidOptionError for an unknown option or a value outside its interval.
 */
export function templateCombine(options: TemplateCombineOptions = {}): Combine<never> {
  requireKnownKeys('templateCombine', options, ['scale', 'tolerance']);
  const { scale = 1, tolerance = 1e-6 } = options;
  requireNumber('templateCombine.scale', scale, '[0, Infinity)');
  requireNumber('templateCombine.tolerance', tolerance, '[0, 1)');
  return {
    kind: 'templateCombine',
    options: { scale, tolerance },
    rule: null,
    tolerance,
    state: () => ({}),
    apply: ({ lifted, residual }) => ({ direction: lifted.add(residual.mul(scale)) }),
  };
}
