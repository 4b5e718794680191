import { sameShape, sizeOf } from '@frugaljs/core';
import { dispose } from '@tensorflow/tfjs-core';
import fc from 'fast-check';
import { type Law, law, require } from '../law.js';
import { requireSame } from '../numerics/closeness.js';
import { type ProjectorSubject, place, projectorExamples } from './subject.js';
import { basisNumbers } from './tensor-numbers.js';

/** Seeds that a revision and the one before it are compared for. */
const SEEDS = 41;

/** Laws of what is derived again for state of an earlier version of the projector. */
export const REVISION_LAWS: readonly Law<ProjectorSubject>[] = [
  law({
    name: 'earlier revisions',
    formula: 'revision = current by default; an earlier one gives a basis of the declared shapes, mostly another',
    why: 'State that an earlier version saved belongs to the subspace that version chose; in another it is noise.',
    needs: ['shapes as declared', 'basis from the seed alone'],
    lifted: ({ revision }) => (revision === 1 ? 'there is one revision' : null),
    example: projectorExamples,
    check: async (subject: ProjectorSubject, example) => {
      const { projector, site, refreshIndex } = place(subject, example);
      const { revision: current = 1 } = projector;
      const reduced = projector.reducedShape(site, refreshIndex);
      // With fewer directions revisions may well agree for every seed.
      fc.pre(reduced !== null && sizeOf(reduced) >= 3 && sizeOf(site.shape) >= sizeOf(reduced) + 3);
      const specs = Object.entries(projector.basis(site));
      const basisOf = async (seed: number, revision?: number): Promise<number[]> => {
        const where = { ...site, seed };
        const context = { site: where, refreshIndex, ...(revision === undefined ? {} : { revision }) };
        const basis = projector.fit(null, null, context);
        for (const [name, { shape, dtype }] of specs) {
          const found = basis[name];
          require(found !== undefined && found.dtype === dtype && sameShape(found.shape, shape), () =>
            `basis.${name} of revision ${revision} is ${found?.dtype} [${found?.shape}], declared ${dtype} [${shape}]`);
        }
        const values = await basisNumbers(basis);
        dispose({ ...basis });
        return values;
      };
      requireSame(`revision ${current}`, await basisOf(site.seed, current), await basisOf(site.seed));
      for (let revision = 1; revision < current; revision++) {
        let differ = false;
        for (let seed = site.seed; seed < site.seed + SEEDS && !differ; seed++) {
          const [earlier, next] = [await basisOf(seed, revision), await basisOf(seed, revision + 1)];
          differ = earlier.some((value, i) => value !== next[i]);
        }
        require(differ, () => `revisions ${revision} and ${revision + 1} give the same bases for ${SEEDS} seeds`);
      }
    },
  }),
];
