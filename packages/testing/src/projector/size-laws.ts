import { matrixView, type Shape, sameShape, sizeOf } from '@frugaljs/core';
import { sub, tensor } from '@tensorflow/tfjs-core';
import fc from 'fast-check';
import { matrixValues } from '../arbitraries/matrices.js';
import { type Law, law, require } from '../law.js';
import { requireAtMost, rounding, scaleOf } from '../numerics/closeness.js';
import { norm } from '../numerics/vectors.js';
import { type Placed, type ProjectorSubject, place, projectOnto, projectorExamples } from './subject.js';
import { numbers } from './tensor-numbers.js';

/** Laws of how large the subspace is. */
export const SIZE_LAWS: readonly Law<ProjectorSubject>[] = [
  law({
    name: 'budget',
    formula:
      'k of N rows, columns, entries or blocks with ρN - 1 < k ≤ ρN + ½, a tie upwards only to an even k; k = rank',
    why: 'The memory of optimizer state is planned by the density; half-way ranks follow Python, as published runs do.',
    needs: ['shapes as declared'],
    effort: 2,
    lifted: ({ optionNames }) =>
      optionNames.includes('density') || optionNames.includes('rank') ? null : 'no option density or rank',
    example: projectorExamples,
    check: async (subject: ProjectorSubject, example) => {
      const placed = place(subject, example);
      const { density, rank } = example.options as { density?: number; rank?: number };
      const found = countOf(placed, subject.traits.coordinate);
      if (rank !== undefined) {
        require(found.kept === rank, () => `rank ${rank} was asked for, ${found.kept} of ${found.of} are kept`);
      } else if (density !== undefined) {
        requireDensity(density, found);
      } else fc.pre(false);
    },
  }),
  law({
    name: 'density 0 is nothing',
    formula: 'ρ = 0 ⟹ reducedShape is null or empty',
    why: 'With density 0 a hybrid must be its state-free rule and keep no state.',
    lifted: noDensity,
    example: projectorExamples,
    check: async (subject: ProjectorSubject, example) => {
      const { projector, site, refreshIndex } = placeWithDensity(subject, example, 0);
      const reduced = projector.reducedShape(site, refreshIndex);
      require(reduced === null || sizeOf(reduced) === 0, () => `reducedShape is [${reduced}] with density 0`);
    },
  }),
  law({
    name: 'density 1 is everything',
    formula: 'ρ = 1 ⟹ ΠG = G for the gradient of the refresh; a random subspace keeps at least min(m, n) directions',
    why: 'With density 1 a hybrid must be its state-full rule.',
    needs: ['shapes as declared', 'down ∘ up = id'],
    lifted: noDensity,
    example: projectorExamples,
    check: async (subject: ProjectorSubject, example) => {
      const { projector, site, refreshIndex } = placeWithDensity(subject, example, 1);
      const reduced = projector.reducedShape(site, refreshIndex);
      require(reduced !== null && sizeOf(reduced) > 0, () => 'nothing is in the subspace with density 1');
      if (sizeOf(reduced!) < sizeOf(site.shape) && subject.traits.basisFrom !== 'gradient') {
        const { kept, limit } = withinParameter(reduced!, site.shape, subject.traits.coordinate);
        require(kept >= limit, () => `${kept} of ${limit} directions are kept with density 1`);
        return;
      }
      const values = matrixValues(site.shape, example.matrix);
      const g = tensor(values, [...site.shape], 'float32');
      const basis = projector.fit(g, null, { site, refreshIndex });
      const rest = await numbers(sub(g, projectOnto({ projector, basis, site }, g)));
      const tolerance = rounding(Math.max(...site.shape, 1)) * scaleOf(values);
      requireAtMost('‖G - ΠG‖ with density 1', norm(rest), 0, tolerance);
    },
  }),
];

function noDensity({ optionNames }: ProjectorSubject): string | null {
  return optionNames.includes('density') ? null : 'no option density';
}

function placeWithDensity(subject: ProjectorSubject, example: Parameters<typeof place>[1], density: number): Placed {
  const { rank: _, ...rest } = example.options as { rank?: number };
  return place(subject, { ...example, options: { ...rest, density } });
}

/** What a size is counted in, and how much of it there is. */
interface Count {
  readonly kept: number;
  readonly of: number;
  /** The most that there can be, where that is less than all: a matrix has no more singular vectors. */
  readonly limit: number;
  /** Fewer than promised is allowed: a pass over blocks may end with a short round. */
  readonly mayBeShort: boolean;
}

function requireDensity(density: number, { kept, of, limit, mayBeShort }: Count): void {
  const exact = density * of;
  const promise = `density ${density} of ${of} is ${exact}`;
  require(kept <= exact + 0.5, () => `${promise}, ${kept} are kept`);
  require(mayBeShort || kept === limit || kept > exact - 1, () => `${promise}, only ${kept} are kept`);
  require(kept !== exact + 0.5 || kept % 2 === 0, () =>
    `${promise}, a tie that goes to the even neighbor or down, but ${kept} are kept`);
}

function countOf({ projector, site, refreshIndex }: Placed, coordinate: boolean): Count {
  const reduced = projector.reducedShape(site, refreshIndex);
  // Without a basis there is nothing to tell coordinates apart by: such a projector takes parameters whole.
  const takesWholes = reduced === null || (coordinate && Object.keys(projector.basis(site)).length === 0);
  if (!takesWholes) return withinParameter(reduced, site.shape, coordinate);
  const perBlock = site.members.map((member, index) =>
    projector.reducedShape({ ...site, name: member.name, shape: member.shape, index }, refreshIndex),
  );
  const kept = perBlock.filter(shape => shape !== null).length;
  return { kept, of: site.members.length, limit: site.members.length, mayBeShort: true };
}

function withinParameter(reduced: Shape, shape: Shape, coordinate: boolean): Count {
  const all = sizeOf(shape);
  const entries = { kept: sizeOf(reduced), of: all, limit: all, mayBeShort: false };
  if (sameShape(reduced, shape)) {
    // Everything: of whatever is counted, all are kept.
    const fewest = coordinate ? all : Math.min(...shape);
    return { kept: fewest, of: fewest, limit: fewest, mayBeShort: false };
  }
  if (reduced.length < 2) return entries;
  const [rows, columns] = matrixView(shape);
  const smaller = Math.min(rows, columns);
  const limit = coordinate ? Number.POSITIVE_INFINITY : smaller;
  const [r, c] = matrixView(reduced);
  const along = (kept: number, of: number): Count => ({ kept, of, limit: Math.min(limit, of), mayBeShort: false });
  if (r === rows) return along(c, columns);
  if (c === columns) return along(r, rows);
  return along(r, smaller);
}
