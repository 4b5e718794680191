import { type Combine, describePart, type Rule, requireKnownKeys, requireNumber, requireRule } from '@frugaljs/core';

export interface ResidualOptions {
  /** Factor on the direction of the residual's rule, relative to the subspace's. Default 1. */
  readonly scale?: number;
  /**
   * With a dense projector, entries |R_ij| ≤ tolerance · ‖G‖_∞ of the residual count as 0, because a sign would turn
   * their rounding noise into full steps. 0 switches this off, as in the public FRUGAL code. Default 1e-6.
   */
  readonly tolerance?: number;
}

/**
 * Lets another rule step on what the subspace misses: direction = up(d) + scale · rule(G - up(down(G))). With a
 * state-free rule this is FRUGAL (Zmushko et al., ICML 2025, Algorithm 1); with another subspace the residual is split
 * again.
 */
export function residual(rule: Rule, options: ResidualOptions = {}): Combine<never> {
  requireRule('residual.rule', rule, 'signSgd()');
  requireKnownKeys('residual', options, ['scale', 'tolerance']);
  const { scale = 1, tolerance = 1e-6 } = options;
  requireNumber('residual.scale', scale, '[0, Infinity)');
  requireNumber('residual.tolerance', tolerance, '[0, 1)');
  return {
    kind: 'residual',
    options: { rule: describePart(rule), scale, tolerance },
    rule,
    tolerance,
    state: () => ({}),
    apply: ({ lifted, residualDirection }) => ({ direction: lifted.add(residualDirection.mul(scale)) }),
  };
}
