import type { Basis } from '@frugaljs/core';
import fc from 'fast-check';
import { type Law, law, require } from '../law.js';
import { requireSame } from '../numerics/closeness.js';
import { choosesNoCoordinates, fitted, type ProjectorSubject, projectorExamples } from './subject.js';
import { basisNumbers, numbers } from './tensor-numbers.js';

/** Laws of what the basis follows from. */
export const BASIS_LAWS: readonly Law<ProjectorSubject>[] = [
  law({
    name: 'same seed, same basis',
    formula: 'fit is a function of (gradient, previous basis, seed, parameter, refresh), also in a new instance',
    why: 'A resumed run derives the basis again; hidden counters or generators let it continue in another subspace.',
    needs: ['shapes as declared'],
    example: projectorExamples,
    check: async (subject: ProjectorSubject, example) => {
      const { projector, site, refreshIndex, basis, g } = fitted(subject, example);
      const first = await basisNumbers(basis);
      requireSame(
        'the basis of a second fit',
        await basisNumbers(projector.fit(g, null, { site, refreshIndex })),
        first,
      );
      // Other refreshes in between leave no trace.
      projector.fit(g, basis, { site, refreshIndex: refreshIndex + 3 });
      const fresh = subject.create(example.options, site);
      requireSame('the basis of a new instance', await basisNumbers(fresh.fit(g, null, { site, refreshIndex })), first);
      requireSame(
        'the basis after other refreshes',
        await basisNumbers(projector.fit(g, null, { site, refreshIndex })),
        first,
      );
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
      const { projector, site, refreshIndex, basis, g } = fitted(subject, example);
      const without = await basisNumbers(projector.fit(null, null, { site, refreshIndex }));
      requireSame('the basis with a gradient', await basisNumbers(basis), without);
      const before = projector.fit(g, null, { site, refreshIndex: refreshIndex + 1 });
      requireSame(
        'the basis with a previous one',
        await basisNumbers(projector.fit(g, before, { site, refreshIndex })),
        without,
      );
    },
  }),
  law({
    name: 'fixed basis',
    formula: 'basisFrom = fixed ⟹ the same basis and shape in every refresh and for every seed',
    why: 'State is then kept across refreshes without being carried over.',
    needs: ['shapes as declared'],
    lifted: ({ traits }) => (traits.basisFrom === 'fixed' ? null : `the basis is from the ${traits.basisFrom}`),
    example: projectorExamples,
    check: async (subject: ProjectorSubject, example) => {
      const { projector, site, refreshIndex, basis, reduced } = fitted(subject, example);
      const elsewhere = { ...site, seed: site.seed + 1 };
      const later = projector.fit(null, null, { site: elsewhere, refreshIndex: refreshIndex + 1 });
      requireSame('the shape in the next refresh', projector.reducedShape(elsewhere, refreshIndex + 1) ?? [], reduced);
      requireSame('the basis in the next refresh', await basisNumbers(later), await basisNumbers(basis));
    },
  }),
  law({
    name: 'indices ascend',
    formula: '0 ≤ j₁ < j₂ < … < j_K < N for the indices of a coordinate projector',
    why: 'A repeated index is counted twice by up; fused kernels walk the indices once, in order.',
    needs: ['shapes as declared'],
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
];
