import { type Basis, type Projector, randomKey, randomUniform, type Shape, type Site, sizeOf } from '@frugaljs/core';
import { dispose, tensor, tidy } from '@tensorflow/tfjs-core';
import fc, { type Arbitrary } from 'fast-check';
import { shapes } from '../arbitraries/shapes.js';
import { type Law, law, require } from '../law.js';
import { show } from '../numerics/closeness.js';
import {
  choosesNoCoordinates,
  type ProjectorExample,
  type ProjectorSubject,
  place,
  projectOnto,
  projectorExamples,
} from './subject.js';
import { basisNumbers, numbers } from './tensor-numbers.js';

const notRandom = ({ random }: ProjectorSubject): string | null => (random ? null : 'not drawn at random');

/** Draws that a random subspace with at least two values repeats by chance with probability ≤ 2⁻⁴⁰. */
const REPEATS = 41;
/** Subspaces that the mean of Π is taken over. */
const DRAWS = 1000;
/** False alarms of one statistical check: far below 1e-9 for a whole suite of them. */
const FALSE_ALARM = 1e-12;

/** Laws of random subspaces. */
export const RANDOM_LAWS: readonly Law<ProjectorSubject>[] = [
  law({
    name: 'other epoch, other basis',
    formula: `of the subspaces of ${REPEATS} epochs, at least two differ (by chance equal with probability ≤ 2⁻⁴⁰)`,
    why: 'A subspace that never moves trains a fixed part of the parameter and leaves the rest without state forever.',
    needs: ['same seed, same basis'],
    effort: 0.2,
    lifted: notRandom,
    example: properExamples,
    check: async (subject: ProjectorSubject, example) => {
      const { projector, site } = place(subject, example);
      await requireVariety(projector, i => ({ site, epoch: example.epoch + i }), 'epochs');
    },
  }),
  law({
    name: 'other seed, other basis',
    formula: `of the subspaces of ${REPEATS} seeds, at least two differ (by chance equal with probability ≤ 2⁻⁴⁰)`,
    why: 'Runs that should be independent would share every subspace.',
    needs: ['same seed, same basis'],
    effort: 0.2,
    lifted: notRandom,
    example: properExamples,
    check: async (subject: ProjectorSubject, example) => {
      const { projector, site, epoch } = place(subject, example);
      await requireVariety(projector, i => ({ site: { ...site, seed: site.seed + i }, epoch }), 'seeds');
    },
  }),
  law({
    name: 'unbiased',
    formula: 'E[Π] = ρ I with ρ = size of down(G) / size of G, over seeds',
    why: 'Directions that are chosen more often are trained with state more often: some weights would be favored.',
    needs: ['down ∘ up = id', 'other seed, other basis', 'same seed, same basis'],
    effort: 0.12,
    lifted: subject =>
      notRandom(subject) ??
      (subject.takesWholes ? 'takes parameters whole or not at all' : null) ??
      (subject.traits.orthonormal ? null : 'lifted by the trait orthonormal: false'),
    example: subject => properExamples(subject, 4),
    check: requireUnbiased,
  }),
  law({
    name: 'keeps clear of occupied coordinates',
    formula: 'J ∩ occupied = ∅ while others are left; |J| is unchanged',
    why: 'In a nested split two tiers would step on the same coordinate.',
    needs: ['indices ascend'],
    lifted: subject => notRandom(subject) ?? choosesNoCoordinates(subject),
    example: projectorExamples,
    check: async (subject: ProjectorSubject, example) => {
      const { projector, site, epoch } = place(subject, example);
      const reduced = projector.reducedShape(site, epoch);
      fc.pre(reduced !== null && sizeOf(reduced) > 0 && sizeOf(reduced) < sizeOf(site.shape));
      const first = projector.fit(null, null, { site, epoch }) as Basis<'indices'>;
      fc.pre(first.indices?.dtype === 'int32');
      const occupied = (await numbers(first.indices)).slice() as Int32Array;
      const of = Math.round((sizeOf(site.shape) / sizeOf(reduced!)) * occupied.length);
      const inner = { ...site, path: 'residual' };
      const second = projector.fit(null, null, { site: inner, epoch, occupied }) as Basis<'indices'>;
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
function properExamples(subject: ProjectorSubject, largest = 6): Arbitrary<ProjectorExample> {
  return fc
    .tuple(shapes({ parameters: subject.parameters, largest }), projectorExamples(subject))
    .map(([shape, example]) => ({ ...example, shape, before: example.before + 1 }));
}

/** What a projector chose: its shape and its basis. */
async function choice(projector: Projector, site: Site, epoch: number): Promise<string> {
  const reduced = projector.reducedShape(site, epoch);
  if (reduced === null || sizeOf(reduced) === 0) return String(reduced);
  const basis = projector.fit(null, null, { site, epoch });
  const text = `${reduced}: ${await basisNumbers(basis)}`;
  dispose({ ...basis });
  return text;
}

async function requireVariety(
  projector: Projector,
  at: (i: number) => { readonly site: Site; readonly epoch: number },
  what: string,
): Promise<void> {
  const { site, epoch } = at(0);
  const takesWholes = Object.keys(projector.basis(site)).length === 0;
  if (takesWholes) {
    // Whether there is a choice at all shows in the group: some are in, others are not.
    const inside = site.members.map(
      ({ name, shape }, index) => projector.reducedShape({ ...site, name, shape, index }, epoch) !== null,
    );
    fc.pre(inside.includes(true) && inside.includes(false));
  } else {
    const reduced = projector.reducedShape(site, epoch);
    fc.pre(reduced !== null && sizeOf(reduced) > 0 && sizeOf(reduced) < sizeOf(site.shape));
  }
  const seen = new Set<string>();
  for (let i = 0; i < REPEATS && seen.size < 2; i++) {
    const { site: where, epoch: when } = at(i);
    seen.add(await choice(projector, where, when));
  }
  require(seen.size > 1, () => `${REPEATS} ${what} give the same subspace, ${[...seen][0]!.slice(0, 80)}`);
}

/**
 * With random signs s, the mean of (Πs)ᵢ sᵢ is E Πᵢᵢ, and that of (Πs)ᵢ sⱼ is E Πᵢⱼ: one call per draw tests every entry.
 * (Πs)ᵢ sⱼ - E Πᵢⱼ is the sum of a part that is bounded given Π, sub-Gaussian with variance proxy Σ_{k≠j} Πᵢₖ² ≤ 1, and
 * of Πᵢⱼ - E Πᵢⱼ with proxy ≤ 1/4, so the mean of N draws is further than ε from its expectation with probability at
 * most 2 exp(-N ε² / 2.5). For i = j the first proxy is Πᵢᵢ - Πᵢᵢ² ≤ 1/4, and the bound 2 exp(-N ε²); a
 * coordinate projector has only the second part there, hence 2 exp(-2N ε²). Parameters that are taken whole or not at all
 * are kept alike in all their directions by construction.
 */
async function requireUnbiased(subject: ProjectorSubject, example: ProjectorExample): Promise<void> {
  const { projector, site, epoch } = place(subject, example);
  const { shape } = site;
  const size = sizeOf(shape);
  // Of subspaces that are nearly nothing or nearly everything, a bias shows least.
  const share = sizeOf(projector.reducedShape(site, epoch) ?? [0]) / size;
  fc.pre(Object.keys(projector.basis(site)).length > 0 && share >= 0.15 && share <= 0.85);
  const sums = new Float64Array(size * size);
  let kept = 0;
  const signs = randomKey(example.seed, 'signs');
  for (let draw = 0; draw < DRAWS; draw++) {
    const where: Site = { ...site, seed: site.seed + 7919 * (draw + 1) };
    const reduced = projector.reducedShape(where, epoch);
    if (reduced === null || sizeOf(reduced) === 0) continue;
    kept += sizeOf(reduced) / size;
    const s = Float32Array.from({ length: size }, (_, i) => (randomUniform(signs, draw * size + i) < 0.5 ? -1 : 1));
    const projected = await signsThrough(projector, where, epoch, s, shape);
    for (let i = 0; i < size; i++) for (let j = 0; j < size; j++) sums[i * size + j]! += projected[i]! * s[j]!;
  }
  const density = kept / DRAWS;
  const { coordinate } = projector.traits;
  const exponent = Math.log((2 * size * size) / FALSE_ALARM) / DRAWS;
  for (let i = 0; i < size; i++) {
    for (let j = 0; j < size; j++) {
      const mean = sums[i * size + j]! / DRAWS;
      const expected = i === j ? density : 0;
      const allowed = Math.sqrt((i !== j ? 2.5 : coordinate ? 0.5 : 1) * exponent);
      require(Math.abs(mean - expected) <= allowed, () =>
        `over ${DRAWS} seeds E[Π] at (${i}, ${j}) is ${show(mean)}, expected ${show(expected)} ± ${show(allowed)} (false alarms below ${FALSE_ALARM})`);
    }
  }
}

async function signsThrough(
  projector: Projector,
  site: Site,
  epoch: number,
  s: Float32Array,
  shape: Shape,
): Promise<Float32Array> {
  const projected = tidy(() => {
    const basis = projector.fit(null, null, { site, epoch });
    return projectOnto({ projector, basis, site }, tensor(s, [...shape], 'float32'));
  });
  const values = (await numbers(projected)).slice() as Float32Array;
  projected.dispose();
  return values;
}
