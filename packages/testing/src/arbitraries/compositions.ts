import type { OnRefresh, Rule } from '@frugaljs/core';
import fc, { type Arbitrary } from 'fast-check';
import { type Algebra, COORDINATE, DENSE, type ProjectorName } from '../optimizer/fixture.js';

export type RuleName = 'adamW' | 'lion' | 'sgdm' | 'sgd' | 'signSgd' | 'foam';

/** An expression of the algebra as data: a rule, or a split whose two parts are expressions again. */
export type Composition =
  | { readonly rule: RuleName }
  | {
      readonly projector: ProjectorName;
      readonly density: number;
      readonly inside: Composition;
      /** `null`: the residual is dropped. */
      readonly outside: Composition | null;
      readonly every: number;
      readonly onRefresh: OnRefresh;
    };

export interface CompositionOptions {
  readonly projectors?: readonly ProjectorName[];
  readonly rules?: readonly RuleName[];
  /** Most splits within splits. Default 2. */
  readonly depth?: number;
}

const VECTOR_PROJECTORS: readonly string[] = ['randK', 'columns', 'blockwise'];
/** What every algebra has. */
export const RULES: readonly RuleName[] = ['adamW', 'lion', 'sgdm', 'sgd', 'signSgd'];

/** Random nested expressions; shrink towards a single rule. */
export function compositions(options: CompositionOptions = {}): Arbitrary<Composition> {
  const { projectors = [...COORDINATE, ...DENSE], rules = RULES, depth = 2 } = options;
  const leaf: Arbitrary<Composition> = fc.record({ rule: fc.constantFrom(...rules) });
  if (depth === 0) return leaf;
  const splitBy = (among: readonly ProjectorName[], inside: readonly ProjectorName[]): Arbitrary<Composition>[] => {
    if (among.length === 0) return [];
    const nested = (within: readonly ProjectorName[]): Arbitrary<Composition> =>
      within.length === 0 ? leaf : compositions({ rules, projectors: within, depth: depth - 1 });
    return [
      fc.record({
        projector: fc.constantFrom(...among),
        density: fc.constantFrom(0.5, 0.25, 0.75, 0, 1),
        inside: nested(inside),
        outside: fc.option(nested(projectors), { nil: null, freq: 4 }),
        every: fc.integer({ min: 1, max: 4 }),
        onRefresh: fc.constantFrom<OnRefresh>('reset', 'keep', 'transport'),
      }),
    ];
  };
  // Inside randK there is a vector, in which not every projector can choose.
  const ofVectors = projectors.filter(name => VECTOR_PROJECTORS.includes(name));
  const splits = [
    ...splitBy(
      projectors.filter(name => name !== 'randK'),
      projectors,
    ),
    ...splitBy(
      projectors.filter(name => name === 'randK'),
      ofVectors,
    ),
  ];
  return fc.oneof(
    { withCrossShrink: true },
    { arbitrary: leaf, weight: 1 },
    ...splits.map((arbitrary, i) => ({ arbitrary, weight: 4 - 2 * i })),
  );
}

/** Builds the rule that a composition describes. */
export function buildComposition(algebra: Algebra, composition: Composition): Rule {
  if ('rule' in composition) return algebra.rules[composition.rule]!();
  const { projector, density, inside, outside, every, onRefresh } = composition;
  return algebra.subspace({
    projector: algebra.projectors[projector]({ density }),
    rule: buildComposition(algebra, inside),
    combine: outside === null ? algebra.drop() : algebra.residual(buildComposition(algebra, outside)),
    refresh: { every },
    onRefresh,
  });
}

/** True when a sign is taken of the residual of a dense projector, which is partly rounding noise. */
export function takesSignOfNoise(composition: Composition, afterDense = false): boolean {
  if ('rule' in composition) return afterDense && (composition.rule === 'signSgd' || composition.rule === 'lion');
  const dense = afterDense || (DENSE as readonly string[]).includes(composition.projector);
  return (
    takesSignOfNoise(composition.inside, dense) ||
    (composition.outside !== null && takesSignOfNoise(composition.outside, dense))
  );
}

/**
 * True when something of every parameter is trained: a composer may refuse to drop all of one, as where a density rounds to
 * nothing. A density of 0 asks for that.
 *
 * @param least The shortest axis of the parameters.
 */
export function trainsSomething(composition: Composition, least: number): boolean {
  if ('rule' in composition) return true;
  const { projector, density, inside, outside } = composition;
  const kept = projector === 'blockwise' ? least : Math.trunc(density * least);
  if (outside !== null) return trainsSomething(outside, least) && (kept === 0 || trainsSomething(inside, kept));
  return density === 0 || (kept > 0 && trainsSomething(inside, kept));
}

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
