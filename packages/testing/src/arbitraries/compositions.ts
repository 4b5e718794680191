import type { Combine, OnRefresh, Rule } from '@frugaljs/core';
import fc, { type Arbitrary } from 'fast-check';
import { type Algebra, COORDINATE, DENSE, type ProjectorName } from '../optimizer/fixture.js';

export type RuleName = 'adamW' | 'lion' | 'sgdm' | 'sgd' | 'signSgd' | 'foam';
export type CombineName = keyof NonNullable<Algebra['combines']>;
export type WrapperName = keyof NonNullable<Algebra['wrappers']>;

/**
 * An expression of the algebra as data: a rule, or a split whose two parts are expressions again. A wrapper is around the
 * whole of it.
 */
export type Composition =
  | { readonly rule: RuleName; readonly wrapper?: WrapperName }
  | {
      readonly projector: ProjectorName | 'sketch';
      readonly density: number;
      readonly inside: Composition;
      /** `null`: the residual is dropped, or `combine` says what happens to it. */
      readonly outside: Composition | null;
      /** A combine that has no rule. */
      readonly combine?: CombineName;
      readonly wrapper?: WrapperName;
      readonly every: number;
      readonly onRefresh: OnRefresh;
    };

export interface CompositionOptions {
  readonly projectors?: readonly (ProjectorName | 'sketch')[];
  readonly rules?: readonly RuleName[];
  /** Default none. */
  readonly combines?: readonly CombineName[];
  /** Default none. */
  readonly wrappers?: readonly WrapperName[];
  /** Most splits within splits. Default 2. */
  readonly depth?: number;
}

const VECTOR_PROJECTORS: readonly string[] = ['randK', 'columns', 'blockwise'];
/** What every algebra has. */
export const RULES: readonly RuleName[] = ['adamW', 'lion', 'sgdm', 'sgd', 'signSgd'];

/** Random nested expressions; shrink towards a single rule. */
export function compositions(options: CompositionOptions = {}): Arbitrary<Composition> {
  const { projectors = [...COORDINATE, ...DENSE], rules = RULES, combines = [], wrappers = [], depth = 2 } = options;
  const leaf: Arbitrary<Composition> = around(wrappers, fc.record({ rule: fc.constantFrom(...rules) }));
  if (depth === 0) return leaf;
  const splitBy = (among: typeof projectors, inside: typeof projectors): Arbitrary<Composition>[] => {
    if (among.length === 0) return [];
    const nested = (within: typeof projectors): Arbitrary<Composition> =>
      within.length === 0 ? leaf : compositions({ ...options, projectors: within, depth: depth - 1 });
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
    ...splits.map((split, i) => ({ arbitrary: around(wrappers, combinedBy(combines, split)), weight: 4 - 2 * i })),
  );
}

/** With a wrapper around every other one, if there are any. */
function around(wrappers: readonly WrapperName[], arbitrary: Arbitrary<Composition>): Arbitrary<Composition> {
  if (wrappers.length === 0) return arbitrary;
  return fc
    .tuple(arbitrary, fc.option(fc.constantFrom(...wrappers), { nil: null, freq: 1 }))
    .map(([composition, wrapper]) => (wrapper === null ? composition : { ...composition, wrapper }));
}

/** With a combine without a rule in every other one, if there are any. */
function combinedBy(combines: readonly CombineName[], arbitrary: Arbitrary<Composition>): Arbitrary<Composition> {
  if (combines.length === 0) return arbitrary;
  return fc
    .tuple(arbitrary, fc.option(fc.constantFrom(...combines), { nil: null, freq: 1 }))
    .map(([composition, combine]) =>
      combine === null || 'rule' in composition ? composition : { ...composition, outside: null, combine },
    );
}

/** All that an algebra has, to draw compositions from. */
export function partsOf({ projectors, combines, wrappers }: Algebra): CompositionOptions {
  return {
    projectors: [...COORDINATE, ...DENSE, ...(projectors.sketch === undefined ? [] : ['sketch' as const])],
    combines: Object.keys(combines ?? {}) as CombineName[],
    wrappers: Object.keys(wrappers ?? {}) as WrapperName[],
  };
}

/** Builds the rule that a composition describes. */
export function buildComposition(algebra: Algebra, composition: Composition): Rule {
  const { wrapper } = composition;
  const rule = 'rule' in composition ? algebra.rules[composition.rule]!() : buildSplit(algebra, composition);
  if (wrapper === undefined) return rule;
  const wrappers = algebra.wrappers!;
  return wrapper === 'scaled' ? wrappers.scaled(rule, 0.5) : wrappers[wrapper](rule);
}

function buildSplit(algebra: Algebra, composition: Exclude<Composition, { readonly rule: RuleName }>): Rule {
  const { projector, density, inside, outside, combine, every, onRefresh } = composition;
  const withoutRule = (): Combine => (combine === undefined ? algebra.drop() : algebra.combines![combine]());
  return algebra.subspace({
    projector: algebra.projectors[projector]!({ density }),
    rule: buildComposition(algebra, inside),
    combine: outside === null ? withoutRule() : algebra.residual(buildComposition(algebra, outside)),
    refresh: { every },
    onRefresh,
  });
}

/** True when a sign is taken of the residual of a dense projector, which is partly rounding noise. */
export function takesSignOfNoise(composition: Composition, afterDense = false): boolean {
  if ('rule' in composition) return afterDense && (composition.rule === 'signSgd' || composition.rule === 'lion');
  const dense = afterDense || [...DENSE, 'sketch'].includes(composition.projector);
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
  return fateOf(composition, least) !== 'rounded away';
}

/** What becomes of parameters, at the least. Where neither part of a split trains them, the first one says why. */
function fateOf(composition: Composition, least: number): 'trained' | 'left out' | 'rounded away' {
  if ('rule' in composition) return 'trained';
  const { projector, density, inside, outside } = composition;
  const kept = projector === 'blockwise' ? least : Math.trunc(density * least);
  const within = kept > 0 ? fateOf(inside, kept) : density === 0 ? 'left out' : 'rounded away';
  return outside !== null && fateOf(outside, least) === 'trained' ? 'trained' : within;
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
