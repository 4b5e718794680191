import {
  type Basis,
  type FitContext,
  type Projector,
  randomKey,
  randomUniform,
  type Site,
  sizeOf,
} from '@frugaljs/core';
import { dispose, tensor, tidy } from '@tensorflow/tfjs-core';
import fc, { type Arbitrary } from 'fast-check';
import { shapes } from '../arbitraries/gradients.js';
import { type Law, law, require, show } from '../law.js';
import { dot } from '../numerics.js';
import {
  basisNumbers,
  choosesNoCoordinates,
  notOrthonormal,
  numbers,
  type ProjectorExample,
  type ProjectorFixture,
  place,
  projectOnto,
  projectorExamples,
  takesNoParts,
} from './fixture.js';

const notRandom = ({ random }: ProjectorFixture): string | null => (random ? null : 'not drawn at random');

/** Why a law of random parts of a parameter says nothing. */
const ofParts = (fixture: ProjectorFixture): string | null => notRandom(fixture) ?? takesNoParts(fixture);

/** Draws that a random subspace with at least two values repeats by chance with probability ≤ 2⁻⁴⁰. */
const REPEATS = 41;

/** Draws that the mean of a sketch is taken over. */
const SKETCHES = 1500;

/** Laws of random subspaces. */
export const RANDOM_LAWS: readonly Law<ProjectorFixture>[] = [
  law({
    name: 'other refresh, other basis',
    formula: `of the subspaces of ${REPEATS} refreshes, at least two differ (by chance equal with probability ≤ 2⁻⁴⁰)`,
    why: 'A subspace that never moves trains a fixed part of the parameter and leaves the rest without state forever.',
    needs: ['same seed, same basis'],
    effort: 0.2,
    notApplicable: notRandom,
    example: properExamples,
    check: async (fixture: ProjectorFixture, example) => {
      const { projector, site } = place(fixture, example);
      await requireVariety(projector, i => ({ site, refreshIndex: example.refreshIndex + i }), 'refreshes');
    },
  }),
  law({
    name: 'other seed, other basis',
    formula: `of the subspaces of ${REPEATS} seeds, at least two differ, and likewise when the refresh falls as the seed rises`,
    why: 'Runs that should be independent would share every subspace, or all but the first where seed and refresh are added.',
    needs: ['same seed, same basis'],
    effort: 0.2,
    notApplicable: notRandom,
    example: properExamples,
    check: async (fixture: ProjectorFixture, example) => {
      const { projector, site, refreshIndex } = place(fixture, example);
      const seeded = (i: number): Site => ({ ...site, seed: site.seed + i });
      await requireVariety(projector, i => ({ site: seeded(i), refreshIndex }), 'seeds');
      const last = refreshIndex + REPEATS - 1;
      await requireVariety(
        projector,
        i => ({ site: seeded(i), refreshIndex: last - i }),
        'seeds, each in the refresh before that of the last seed,',
      );
    },
  }),
  law({
    name: 'other parameter, other basis',
    formula: `of the subspaces of ${REPEATS} parameters of one shape, at least two differ`,
    why: 'Parameters of one shape would all keep the same places, and what is missed in one is missed in all of them.',
    needs: ['same seed, same basis'],
    effort: 0.2,
    notApplicable: ofParts,
    example: properExamples,
    check: async (fixture: ProjectorFixture, example) => {
      const { projector, site, refreshIndex } = place(fixture, example);
      await requireVariety(projector, i => ({ site: renamed(site, `parameter.${i}`), refreshIndex }), 'parameters');
    },
  }),
  law({
    name: 'other split, other basis',
    formula: `of the subspaces of ${REPEATS} nested splits, at least two differ`,
    why: 'A second tier would look where the first has taken everything: all that it sees there is rounding noise.',
    needs: ['same seed, same basis'],
    effort: 0.2,
    notApplicable: fixture =>
      ofParts(fixture) ?? (choosesNoCoordinates(fixture) === null ? 'it keeps clear of occupied coordinates' : null),
    example: properExamples,
    check: async (fixture: ProjectorFixture, example) => {
      const { projector, site, refreshIndex } = place(fixture, example);
      const path = (depth: number): string => Array(depth).fill('residual').join('/');
      await requireVariety(projector, i => ({ site: { ...site, path: path(i) }, refreshIndex }), 'nested splits');
    },
  }),
  law({
    name: 'unbiased',
    formula: 'E[Π] = ρ I with ρ = size of down(G) / size of G, over seeds',
    why: 'Directions that are chosen more often are trained with state more often: some weights would be favored.',
    needs: ['down ∘ up = id', 'other seed, other basis', 'same seed, same basis'],
    effort: 0.12,
    notApplicable: fixture => ofParts(fixture) ?? notOrthonormal(fixture),
    example: fixture => properExamples(fixture, 4),
    check: requireUnbiased,
  }),
  law({
    name: 'a sketch is right on average',
    formula: `E[up(down(G))] = G over seeds, within what the deviations of ${SKETCHES} draws themselves allow`,
    why: 'The size of a sketched gradient is taken for that of the gradient: what is measured would be off by a factor.',
    needs: ['up is the adjoint of down', 'other seed, other basis', 'same seed, same basis'],
    effort: 0.12,
    notApplicable: ({ traits }) => (traits.unbiased ? null : 'no trait unbiased'),
    example: fixture => properExamples(fixture, 8),
    check: requireRightOnAverage,
  }),
  law({
    name: 'keeps clear of occupied coordinates',
    formula: 'J ∩ occupied = ∅ while others are left; |J| is unchanged',
    why: 'In a nested split two tiers would step on the same coordinate.',
    needs: ['indices ascend'],
    notApplicable: fixture => notRandom(fixture) ?? choosesNoCoordinates(fixture),
    example: projectorExamples,
    check: async (fixture: ProjectorFixture, example) => {
      const { projector, site, refreshIndex } = place(fixture, example);
      const reduced = projector.reducedShape(site, refreshIndex);
      fc.pre(reduced !== null && sizeOf(reduced) > 0 && sizeOf(reduced) < sizeOf(site.shape));
      const first = projector.fit(null, null, { site, refreshIndex }) as Basis<'indices'>;
      fc.pre(first.indices?.dtype === 'int32');
      const occupied = (await numbers(first.indices)).slice() as Int32Array;
      const of = Math.round((sizeOf(site.shape) / sizeOf(reduced!)) * occupied.length);
      const inner = { ...site, path: 'residual' };
      const second = projector.fit(null, null, { site: inner, refreshIndex, occupied }) as Basis<'indices'>;
      const drawn = await numbers(second.indices);
      require(drawn.length === occupied.length, () => `${drawn.length} indices are drawn, not ${occupied.length}`);
      const twice = drawn.filter(j => occupied.includes(j)).length;
      const unavoidable = Math.max(0, 2 * occupied.length - of);
      require(twice <= unavoidable, () =>
        `[${drawn}] shares ${twice} with the occupied [${occupied}] of ${of}, where ${unavoidable} are unavoidable`);
    },
  }),
];

/** Examples whose subspace is neither empty nor everything, mostly. */
function properExamples(fixture: ProjectorFixture, largest = 6): Arbitrary<ProjectorExample> {
  return fc
    .tuple(shapes({ parameters: fixture.parameters, largest }), projectorExamples(fixture))
    .map(([shape, example]) => ({ ...example, shape, before: example.before + 1 }));
}

/** The parameter under another name. */
function renamed(site: Site, name: string): Site {
  const members = site.members.map((member, i) => (i === site.index ? { ...member, name } : member));
  return { ...site, name, members };
}

/** What a projector chose: its shape and its basis. */
async function choice(projector: Projector, site: Site, refreshIndex: number): Promise<string> {
  const reduced = projector.reducedShape(site, refreshIndex);
  if (reduced === null || sizeOf(reduced) === 0) return String(reduced);
  const basis = projector.fit(null, null, { site, refreshIndex });
  const text = `${reduced}: ${await basisNumbers(basis)}`;
  dispose({ ...basis });
  return text;
}

async function requireVariety(
  projector: Projector,
  at: (i: number) => { readonly site: Site; readonly refreshIndex: number },
  what: string,
): Promise<void> {
  const { site, refreshIndex } = at(0);
  const takesWholes = Object.keys(projector.basis(site)).length === 0;
  if (takesWholes) {
    // Whether there is a choice at all shows in the group: some are in, others are not.
    const inside = site.members.map(
      ({ name, shape }, index) => projector.reducedShape({ ...site, name, shape, index }, refreshIndex) !== null,
    );
    fc.pre(inside.includes(true) && inside.includes(false));
  } else {
    const reduced = projector.reducedShape(site, refreshIndex);
    fc.pre(reduced !== null && sizeOf(reduced) > 0 && sizeOf(reduced) < sizeOf(site.shape));
  }
  const seen = new Set<string>();
  for (let i = 0; i < REPEATS && seen.size < 2; i++) {
    const { site: where, refreshIndex: when } = at(i);
    seen.add(await choice(projector, where, when));
  }
  require(seen.size > 1, () => `${REPEATS} ${what} give the same subspace, ${[...seen][0]!.slice(0, 80)}`);
}

/** Subspaces that the mean of Π is taken over. */
const DRAWS = 1000;
/** False alarms of one statistical check: far below 1e-9 for a whole suite of them. */
const FALSE_ALARM = 1e-12;

/**
 * With random signs s, the mean of (Πs)ᵢ sᵢ is E Πᵢᵢ, and that of (Πs)ᵢ sⱼ is E Πᵢⱼ: one call per draw tests every entry.
 * (Πs)ᵢ sⱼ - E Πᵢⱼ is the sum of a part that is bounded given Π, sub-Gaussian with variance proxy Σ_{k≠j} Πᵢₖ² ≤ 1, and
 * of Πᵢⱼ - E Πᵢⱼ with proxy ≤ 1/4, so the mean of N draws is further than ε from its expectation with probability at
 * most 2 exp(-N ε² / 2.5). For i = j the first proxy is Πᵢᵢ - Πᵢᵢ² ≤ 1/4, and the bound 2 exp(-N ε²); a
 * coordinate projector has only the second part there, hence 2 exp(-2N ε²). Parameters that are taken whole or not at all
 * are kept alike in all their directions by construction.
 *
 * A subspace that leans in one direction by a little in every coordinate shows along that direction at once: with
 * u = (1, …, 1)/√n, ‖Πu‖² lies in [0, 1] and has the mean ρ, hence 2 exp(-2N ε²). A coordinate projector keeps exactly
 * its share of u.
 */
async function requireUnbiased(fixture: ProjectorFixture, example: ProjectorExample): Promise<void> {
  const { projector, site, refreshIndex } = place(fixture, example);
  const size = sizeOf(site.shape);
  // Of subspaces that are nearly nothing or nearly everything, a bias shows least.
  const share = sizeOf(projector.reducedShape(site, refreshIndex) ?? [0]) / size;
  fc.pre(Object.keys(projector.basis(site)).length > 0 && share >= 0.15 && share <= 0.85);
  const sums = new Float64Array(size * size);
  let [kept, along] = [0, 0];
  const { coordinate } = projector.traits;
  const uniform = new Float32Array(size).fill(1 / Math.sqrt(size));
  const signs = randomKey(example.seed, 'signs');
  for (let draw = 0; draw < DRAWS; draw++) {
    const where: Site = { ...site, seed: site.seed + 7919 * (draw + 1) };
    const reduced = projector.reducedShape(where, refreshIndex);
    if (reduced === null || sizeOf(reduced) === 0) continue;
    kept += sizeOf(reduced) / size;
    const s = Float32Array.from({ length: size }, (_, i) => (randomUniform(signs, draw * size + i) < 0.5 ? -1 : 1));
    const [projected, leaning] = await through(
      projector,
      { site: where, refreshIndex },
      coordinate ? [s] : [s, uniform],
    );
    if (leaning !== undefined) along += dot(leaning, uniform) / DRAWS;
    for (let i = 0; i < size; i++) for (let j = 0; j < size; j++) sums[i * size + j]! += projected![i]! * s[j]!;
  }
  const density = kept / DRAWS;
  const exponent = Math.log((2 * (size * size + 1)) / FALSE_ALARM) / DRAWS;
  for (let i = 0; i < size; i++) {
    for (let j = 0; j < size; j++) {
      const mean = sums[i * size + j]! / DRAWS;
      const expected = i === j ? density : 0;
      const allowed = Math.sqrt((i !== j ? 2.5 : coordinate ? 0.5 : 1) * exponent);
      require(Math.abs(mean - expected) <= allowed, () =>
        `over ${DRAWS} seeds E[Π] at (${i}, ${j}) is ${show(mean)}, expected ${show(expected)} ± ${show(allowed)} (false alarms below ${FALSE_ALARM})`);
    }
  }
  const allowed = Math.sqrt(0.5 * exponent);
  require(coordinate || Math.abs(along - density) <= allowed, () =>
    `over ${DRAWS} seeds E‖Πu‖² with u = (1, …, 1)/√${size} is ${show(along)}, expected ${show(density)} ± ${show(allowed)} (false alarms below ${FALSE_ALARM})`);
}

/**
 * Let X be an entry of ΠG - G, or ‹s, Πs› / ‖s‖² - 1 for the random signs s of a draw; of a sketch that is right, E X = 0.
 * Nothing bounds X, so the deviations say themselves how far their mean may be off: since exp(x - x²/6) ≤ 1 + x + x²/3,
 * exp(λΣX - λ²(ΣX² + 2Nσ²)/6) has an expectation of at most 1 for every λ, hence
 *
 *     |ΣX| ≥ a  and  (ΣX² + 2Nσ²)/3 ≤ y    with probability at most 2 exp(-a² / 2y)
 *
 * (Delyon, Exponential inequalities for sums of weakly dependent variables, EJP 14, 2009). σ² = E X² is not known, but
 * 4 ΣX²/N is above it: sums of numbers that are not negative seldom come out too small, ΣX² ≤ Nσ²/4 with probability at
 * most exp(-(3/4)² N / 2κ) for a kurtosis E X⁴ / σ⁴ ≤ κ. Quadratic forms of normal numbers, which a Gaussian sketch makes,
 * have κ ≤ 15: below 1e-12. So y = 3 ΣX², and the mean is off by at most √(6 log(2 / FALSE_ALARM) mean(X²) / N).
 */
async function requireRightOnAverage(fixture: ProjectorFixture, example: ProjectorExample): Promise<void> {
  const { projector, site, refreshIndex } = place(fixture, example);
  const size = sizeOf(site.shape);
  const reduced = projector.reducedShape(site, refreshIndex);
  fc.pre(reduced !== null && sizeOf(reduced) > 0);
  const signs = randomKey(example.seed, 'signs');
  const signsFrom = (start: number): Float32Array =>
    Float32Array.from({ length: size }, (_, i) => (randomUniform(signs, start + i) < 0.5 ? -1 : 1));
  const g = signsFrom(0);
  const [sums, squares] = [new Float64Array(size + 1), new Float64Array(size + 1)];
  for (let draw = 1; draw <= SKETCHES; draw++) {
    const where: Site = { ...site, seed: site.seed + 7919 * draw };
    const s = signsFrom(draw * size);
    const [found, along] = await through(projector, { site: where, refreshIndex }, [g, s]);
    const deviations = [...found!.map((x, i) => x - g[i]!), dot(along!, s) / size - 1];
    deviations.forEach((x, i) => {
      sums[i]! += x;
      squares[i]! += x * x;
    });
  }
  const exponent = Math.log((2 * (size + 1)) / FALSE_ALARM);
  sums.forEach((sum, i) => {
    const what = i === size ? 'E‹s, Πs› / ‖s‖²' : `E[ΠG] at ${i}`;
    const expected = i === size ? 1 : g[i]!;
    const allowed = Math.sqrt(6 * exponent * squares[i]!) / SKETCHES + 1e-5;
    require(Math.abs(sum) / SKETCHES <= allowed, () =>
      `over ${SKETCHES} seeds ${what} is ${show(expected + sum / SKETCHES)}, expected ${show(expected)} ± ${show(allowed)} (false alarms below 1e-9)`);
  });
}

/** Π of each, in the subspace of a seed. */
async function through(
  projector: Projector,
  context: FitContext,
  inputs: readonly Float32Array[],
): Promise<Float32Array[]> {
  const { site } = context;
  const projected = tidy(() => {
    const basis = projector.fit(null, null, context);
    return inputs.map(x => projectOnto({ projector, basis, site }, tensor(x, [...site.shape], 'float32')));
  });
  const values = await Promise.all(projected.map(async x => (await numbers(x)).slice() as Float32Array));
  dispose(projected);
  return values;
}
