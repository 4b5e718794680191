import { type Basis, type Projector, type Site, sizeOf } from '@frugaljs/core';
import { dispose } from '@tensorflow/tfjs-core';
import fc, { type Arbitrary } from 'fast-check';
import { shapes } from '../arbitraries/shapes.js';
import { type Law, law, require } from '../law.js';
import {
  choosesNoCoordinates,
  type ProjectorExample,
  type ProjectorSubject,
  place,
  projectorExamples,
} from './subject.js';
import { basisNumbers, numbers } from './tensor-numbers.js';
import { requireUnbiased } from './unbiased.js';

const notRandom = ({ random }: ProjectorSubject): string | null => (random ? null : 'not drawn at random');

/** Why a law of random parts of a parameter says nothing. */
const ofParts = (subject: ProjectorSubject): string | null =>
  notRandom(subject) ?? (subject.takesWholes ? 'takes parameters whole or not at all' : null);

/** Draws that a random subspace with at least two values repeats by chance with probability ≤ 2⁻⁴⁰. */
const REPEATS = 41;

/** Laws of random subspaces. */
export const RANDOM_LAWS: readonly Law<ProjectorSubject>[] = [
  law({
    name: 'other refresh, other basis',
    formula: `of the subspaces of ${REPEATS} refreshes, at least two differ (by chance equal with probability ≤ 2⁻⁴⁰)`,
    why: 'A subspace that never moves trains a fixed part of the parameter and leaves the rest without state forever.',
    needs: ['same seed, same basis'],
    effort: 0.2,
    lifted: notRandom,
    example: properExamples,
    check: async (subject: ProjectorSubject, example) => {
      const { projector, site } = place(subject, example);
      await requireVariety(projector, i => ({ site, refreshIndex: example.refreshIndex + i }), 'refreshes');
    },
  }),
  law({
    name: 'other seed, other basis',
    formula: `of the subspaces of ${REPEATS} seeds, at least two differ, and likewise when the refresh falls as the seed rises`,
    why: 'Runs that should be independent would share every subspace, or all but the first where seed and refresh are added.',
    needs: ['same seed, same basis'],
    effort: 0.2,
    lifted: notRandom,
    example: properExamples,
    check: async (subject: ProjectorSubject, example) => {
      const { projector, site, refreshIndex } = place(subject, example);
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
    lifted: ofParts,
    example: properExamples,
    check: async (subject: ProjectorSubject, example) => {
      const { projector, site, refreshIndex } = place(subject, example);
      await requireVariety(projector, i => ({ site: renamed(site, `parameter.${i}`), refreshIndex }), 'parameters');
    },
  }),
  law({
    name: 'other split, other basis',
    formula: `of the subspaces of ${REPEATS} nested splits, at least two differ`,
    why: 'A second tier would look where the first has taken everything: all that it sees there is rounding noise.',
    needs: ['same seed, same basis'],
    effort: 0.2,
    lifted: subject =>
      ofParts(subject) ?? (choosesNoCoordinates(subject) === null ? 'it keeps clear of occupied coordinates' : null),
    example: properExamples,
    check: async (subject: ProjectorSubject, example) => {
      const { projector, site, refreshIndex } = place(subject, example);
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
    lifted: subject =>
      ofParts(subject) ?? (subject.traits.orthonormal ? null : 'lifted by the trait orthonormal: false'),
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
      const { projector, site, refreshIndex } = place(subject, example);
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
function properExamples(subject: ProjectorSubject, largest = 6): Arbitrary<ProjectorExample> {
  return fc
    .tuple(shapes({ parameters: subject.parameters, largest }), projectorExamples(subject))
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
