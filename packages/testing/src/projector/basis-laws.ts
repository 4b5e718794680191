import { type Basis, randomKey, randomPermutation, type Shape } from '@frugaljs/core';
import { mul, tensor } from '@tensorflow/tfjs-core';
import fc from 'fast-check';
import { type Law, law, require } from '../law.js';
import { requireClose, requireSame, rounding, scaleOf, show } from '../numerics/closeness.js';
import { singularValues } from '../numerics/singular-values.js';
import { maxAbs, norm } from '../numerics/vectors.js';
import { choosesNoCoordinates, fitted, type ProjectorSubject, projectOnto, projectorExamples } from './subject.js';
import { basisNumbers, normalTensor, numbers } from './tensor-numbers.js';

const notFromGradient = ({ traits }: ProjectorSubject): string | null =>
  traits.basisFrom === 'gradient' ? null : `the basis is from the ${traits.basisFrom}`;

/** Laws of what the basis follows from, and of what it is worth. */
export const BASIS_LAWS: readonly Law<ProjectorSubject>[] = [
  law({
    name: 'same seed, same basis',
    formula: 'fit is a function of (gradient, previous basis, seed, parameter, epoch), also in a new instance',
    why: 'A resumed run derives the basis again; hidden counters or generators let it continue in another subspace.',
    needs: ['shapes as declared'],
    example: projectorExamples,
    check: async (subject: ProjectorSubject, example) => {
      const { projector, site, epoch, basis, g } = fitted(subject, example);
      const first = await basisNumbers(basis);
      requireSame('the basis of a second fit', await basisNumbers(projector.fit(g, null, { site, epoch })), first);
      // Other epochs in between leave no trace.
      projector.fit(g, basis, { site, epoch: epoch + 3 });
      const fresh = subject.create(example.options, site);
      requireSame('the basis of a new instance', await basisNumbers(fresh.fit(g, null, { site, epoch })), first);
      requireSame('the basis after other epochs', await basisNumbers(projector.fit(g, null, { site, epoch })), first);
    },
  }),
  law({
    name: 'basis from the seed alone',
    formula: 'fit(G, previous, …) = fit(null, null, …) unless the basis is fitted to the gradient',
    why: 'Such a basis is not saved: after loading there is neither the old gradient nor the previous basis.',
    needs: ['same seed, same basis'],
    lifted: ({ traits }) => (traits.basisFrom === 'gradient' ? 'the basis is from the gradient' : null),
    example: projectorExamples,
    check: async (subject: ProjectorSubject, example) => {
      const { projector, site, epoch, basis, g } = fitted(subject, example);
      const without = await basisNumbers(projector.fit(null, null, { site, epoch }));
      requireSame('the basis with a gradient', await basisNumbers(basis), without);
      const before = projector.fit(g, null, { site, epoch: epoch + 1 });
      requireSame(
        'the basis with a previous one',
        await basisNumbers(projector.fit(g, before, { site, epoch })),
        without,
      );
    },
  }),
  law({
    name: 'fixed basis',
    formula: 'basisFrom = fixed ⟹ the same basis and shape in every epoch and for every seed',
    why: 'State is then kept across refreshes without being carried over.',
    lifted: ({ traits }) => (traits.basisFrom === 'fixed' ? null : `the basis is from the ${traits.basisFrom}`),
    example: projectorExamples,
    check: async (subject: ProjectorSubject, example) => {
      const { projector, site, epoch, basis, reduced } = fitted(subject, example);
      const elsewhere = { ...site, seed: site.seed + 1 };
      const later = projector.fit(null, null, { site: elsewhere, epoch: epoch + 1 });
      requireSame('the shape in the next epoch', projector.reducedShape(elsewhere, epoch + 1) ?? [], reduced);
      requireSame('the basis in the next epoch', await basisNumbers(later), await basisNumbers(basis));
    },
  }),
  law({
    name: 'indices ascend',
    formula: '0 ≤ j₁ < j₂ < … < j_K < N for the indices of a coordinate projector',
    why: 'A repeated index is counted twice by up; fused kernels walk the indices once, in order.',
    lifted: choosesNoCoordinates,
    example: projectorExamples,
    check: async (subject: ProjectorSubject, example) => {
      const { basis } = fitted(subject, example);
      const { indices } = basis as Basis<'indices'>;
      fc.pre(indices?.dtype === 'int32');
      const list = await numbers(indices);
      const wrong = list.findIndex((j, i) => j < 0 || (i > 0 && j <= list[i - 1]!));
      require(wrong < 0, () => `indices [${list}]: number ${wrong} is ${list[wrong]}`);
    },
  }),
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
      const { projector, site, epoch, g, values, reduced } = all;
      const other = normalTensor(site.shape, example.seed, 'other gradient');
      const stale = projector.fit(other, null, { site, epoch });
      const [m, n] = site.shape as [number, number];
      const scale = scaleOf(values);
      const sigma = singularValues(values, m, n);
      const lost = norm(sigma.slice(rankOf(reduced, m, n))) / scale;
      for (const [start, basis] of [
        ['', all.basis],
        [' after another subspace', projector.fit(g, stale, { site, epoch: epoch + 1 })],
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
    name: 'scale equivariance',
    formula: 'Π fitted to cG is Π fitted to G',
    why: 'Loss scaling and clipping must not choose another subspace.',
    needs: ['shapes as declared', 'down ∘ up = id'],
    lifted: notFromGradient,
    example: projectorExamples,
    check: async (subject: ProjectorSubject, example) => {
      const all = fitted(subject, example);
      const { projector, site, epoch, g, values } = all;
      for (const c of [2, 2 ** -10, -1]) {
        const basis = projector.fit(mul(g, c), null, { site, epoch });
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
      const { projector, site, epoch, values } = all;
      const [m, n] = site.shape as [number, number];
      const rows = randomPermutation(randomKey(example.seed, 'rows'), m);
      const columns = randomPermutation(randomKey(example.seed, 'columns'), n);
      const permute = (x: ArrayLike<number>): Float32Array =>
        Float32Array.from({ length: m * n }, (_, i) => x[rows[Math.floor(i / n)]! * n + columns[i % n]!]!);
      const permuted = permute(values);
      const g = tensor(permuted, [m, n], 'float32');
      const basis = projector.fit(g, null, { site, epoch });
      const found = await numbers(projectOnto({ projector, basis, site }, g));
      requireSameLoss('Π fitted to PGQ', found, permute(await numbers(projectOnto(all, all.g))), permuted, [m, n]);
    },
  }),
];

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
