import fc, { type Arbitrary } from 'fast-check';

/**
 * Densities ρ ∈ [0, 1]: the ends, quarters (which make ties in rounding), and others evenly over the interval. Drawn
 * without fast-check's bias towards small numbers, which would leave most subspaces empty.
 */
export function densities(): Arbitrary<number> {
  return fc.noBias(
    fc.oneof(
      fc.constantFrom(0.5, 0.25, 0.75, 0, 1),
      fc.integer({ min: 0, max: 997 }).map(i => i / 997),
    ),
  );
}
