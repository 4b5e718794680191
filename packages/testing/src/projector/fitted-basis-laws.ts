import { randomKey, randomPermutation, type Shape, sizeOf } from '@frugaljs/core';
import { mul, tensor } from '@tensorflow/tfjs-core';
import fc from 'fast-check';
import { type Law, law, require } from '../law.js';
import { requireClose, rounding, scaleOf, show } from '../numerics/closeness.js';
import { singularValues } from '../numerics/singular-values.js';
import { maxAbs, norm } from '../numerics/vectors.js';
import { fitted, type ProjectorSubject, place, projectOnto, projectorExamples } from './subject.js';
import { normalTensor, numbers } from './tensor-numbers.js';

const notFromGradient = ({ traits }: ProjectorSubject): string | null =>
  traits.basisFrom === 'gradient' ? null : `the basis is from the ${traits.basisFrom}`;

/** Gradients that the worth of a fitted basis is averaged over. */
const GRADIENTS = 60;
const SQUARE: Shape = [6, 6];
const FALSE_ALARM = 1e-10;

/** Laws of what a basis that is fitted to the gradient is worth. */
export const FITTED_BASIS_LAWS: readonly Law<ProjectorSubject>[] = [
  law({
    name: 'no better subspace (Eckart–Young)',
    formula: '‖G - ΠG‖² ≤ factor² · Σ_{i>r} σᵢ² for the G it was fitted to, whatever the previous basis was',
    why: 'The claim of a gradient-fitted subspace; a stale or wrong basis loses the directions that matter.',
    needs: ['shapes as declared', 'down ∘ up = id'],
    effort: 2,
    lifted: ({ optimal }) => (optimal === null ? 'no claim optimal' : null),
    example: projectorExamples,
    check: async (subject: ProjectorSubject, example) => {
      const all = fitted(subject, example);
      const { projector, site, refreshIndex, g, values, reduced } = all;
      const other = normalTensor(site.shape, example.seed, 'other gradient');
      const stale = projector.fit(other, null, { site, refreshIndex });
      const [m, n] = site.shape as [number, number];
      const scale = scaleOf(values);
      const sigma = singularValues(values, m, n);
      const lost = norm(sigma.slice(rankOf(reduced, m, n))) / scale;
      for (const [start, basis] of [
        ['', all.basis],
        [' after another subspace', projector.fit(g, stale, { site, refreshIndex: refreshIndex + 1 })],
      ] as const) {
        const kept = await numbers(projectOnto({ projector, basis, site }, g));
        const rest = norm(values.map((x, i) => x - kept[i]!)) / scale;
        const bound = lost * subject.optimal! + 4 * rounding(Math.max(m, n));
        require(rest <= bound, () =>
          `‖G - ΠG‖ / ‖G‖${start} is ${show(rest)}; the best subspace of this size leaves ${show(lost)}`);
      }
    },
  }),
  law({
    name: 'better than chance',
    formula: `over ${GRADIENTS} heavy-tailed gradients the mean of ‖ΠG‖² / ‖G‖² is at least that of size of down(G) / size of G`,
    why: 'What fits to a gradient and keeps less of it than any basis would has an order or a sign the wrong way round.',
    needs: ['shapes as declared', 'isometry and contraction'],
    effort: 'once',
    lifted: subject =>
      notFromGradient(subject) ??
      (subject.takesWholes ? 'takes parameters whole or not at all' : null) ??
      (subject.traits.orthonormal ? null : 'lifted by the trait orthonormal: false'),
    example: () => fc.record({ seed: fc.nat({ max: 9999 }) }),
    check: requireBetterThanChance,
  }),
  law({
    name: 'scale equivariance',
    formula: 'Π fitted to cG is Π fitted to G',
    why: 'Loss scaling and clipping must not choose another subspace.',
    needs: ['shapes as declared', 'down ∘ up = id'],
    lifted: notFromGradient,
    example: projectorExamples,
    check: async (subject: ProjectorSubject, example) => {
      const all = fitted(subject, example);
      const { projector, site, refreshIndex, g, values } = all;
      for (const c of [2, 2 ** -10, -1]) {
        const basis = projector.fit(mul(g, c), null, { site, refreshIndex });
        const found = await numbers(projectOnto({ projector, basis, site }, g));
        requireSameLoss(`Π fitted to ${show(c)} G`, found, await numbers(projectOnto(all, g)), values, site.shape);
      }
    },
  }),
  law({
    name: 'permutation equivariance',
    formula: 'Π fitted to PGQ, for permutations P and Q, keeps as much of PGQ as Π of G',
    why: 'The order of neurons is arbitrary and must not decide what is kept.',
    needs: ['shapes as declared', 'down ∘ up = id'],
    lifted: ({ permutationEquivariant }) => (permutationEquivariant ? null : 'no claim permutationEquivariant'),
    example: projectorExamples,
    check: async (subject: ProjectorSubject, example) => {
      const all = fitted(subject, example);
      const { projector, site, refreshIndex, values } = all;
      const [m, n] = site.shape as [number, number];
      const rows = randomPermutation(randomKey(example.seed, 'rows'), m);
      const columns = randomPermutation(randomKey(example.seed, 'columns'), n);
      const permute = (x: ArrayLike<number>): Float32Array =>
        Float32Array.from({ length: m * n }, (_, i) => x[rows[Math.floor(i / n)]! * n + columns[i % n]!]!);
      const permuted = permute(values);
      const g = tensor(permuted, [m, n], 'float32');
      const basis = projector.fit(g, null, { site, refreshIndex });
      const found = await numbers(projectOnto({ projector, basis, site }, g));
      requireSameLoss('Π fitted to PGQ', found, permute(await numbers(projectOnto(all, all.g))), permuted, [m, n]);
    },
  }),
];

/**
 * By Hoeffding's inequality the mean of N numbers in [0, 1] is further than ε below its expectation with probability at
 * most exp(-2N ε²). Of subspaces that are nearly nothing or everything a wrong choice shows least.
 */
async function requireBetterThanChance(subject: ProjectorSubject, { seed }: { readonly seed: number }): Promise<void> {
  const drawn = fc.sample(subject.options, { seed, numRuns: 8 * GRADIENTS });
  let [count, kept, share] = [0, 0, 0];
  for (const [i, options] of drawn.entries()) {
    if (count === GRADIENTS) break;
    const matrix = { kind: 'heavyTailed', exponent: 0, seed: seed + i } as const;
    const example = { shape: SQUARE, options, matrix, refreshIndex: 0, seed, before: 0, after: 0 };
    const { projector, site } = place(subject, example);
    const part = sizeOf(projector.reducedShape(site, 0) ?? [0]) / sizeOf(SQUARE);
    if (part < 0.5 || part > 0.9) continue;
    const all = fitted(subject, example);
    kept += (norm(await numbers(projectOnto(all, all.g))) / norm(all.values)) ** 2 / GRADIENTS;
    share += part / GRADIENTS;
    count++;
  }
  fc.pre(count === GRADIENTS);
  const allowed = Math.sqrt(Math.log(1 / FALSE_ALARM) / (2 * GRADIENTS));
  require(kept >= share - allowed, () =>
    `of ${GRADIENTS} gradients ${show(100 * kept)} % is kept, by ${show(100 * share)} % of the directions (false alarms below ${FALSE_ALARM})`);
}

/** How many singular directions a reduced shape can hold. */
function rankOf(reduced: Shape, m: number, n: number): number {
  const [r, c] = reduced as [number, number];
  if (r === m && c === n) return Math.min(m, n);
  if (r === m) return c;
  if (c === n) return r;
  return Math.min(r, c);
}

/**
 * Two subspaces are as good for a gradient when they lose as much of it. Where singular values or coefficients tie they
 * need not be the same.
 */
function requireSameLoss(
  what: string,
  found: ArrayLike<number>,
  expected: ArrayLike<number>,
  g: Float32Array,
  shape: Shape,
): void {
  const scale = scaleOf(g);
  const loss = (kept: ArrayLike<number>): number => norm(g.map((x, i) => x - kept[i]!)) / scale;
  if (maxAbs(g) === 0) return;
  requireClose(`${what}: ‖G - ΠG‖ / ‖G‖`, [loss(found)], [loss(expected)], 4 * rounding(Math.max(...shape)));
}
