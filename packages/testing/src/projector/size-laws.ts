import {
  type Basis,
  FrugalError,
  matrixView,
  type Projector,
  type Shape,
  type Site,
  sameShape,
  sizeOf,
} from '@frugaljs/core';
import { slice, sub, type Tensor2D, tensor } from '@tensorflow/tfjs-core';
import fc from 'fast-check';
import { degenerateShapes, MATRIX_KINDS, type MatrixKind, matrixValues } from '../arbitraries/gradients.js';
import {
  BrokenLaw,
  type Law,
  law,
  require,
  requireAtMost,
  requireClose,
  requireFinite,
  rounding,
  scaleOf,
  show,
} from '../law.js';
import { norm } from '../numerics.js';
import {
  fitted,
  normalTensor,
  numbers,
  type Placed,
  type ProjectorFixture,
  place,
  projectOnto,
  projectorExamples,
  shapeIn,
  siteOf,
} from './fixture.js';

/** Laws of how large the subspace is, and of parameters at the edge. */
export const SIZE_LAWS: readonly Law<ProjectorFixture>[] = [
  law({
    name: 'budget',
    formula:
      'k of N rows, columns, entries or blocks with ρN - 1 < k ≤ ρN + ½, a tie upwards only to an even k; k = rank; of blocks one at least if ρ > 0',
    why: 'The memory of optimizer state is planned by the density; half-way ranks follow Python, as published runs do.',
    needs: ['shapes as declared'],
    effort: 2,
    notApplicable: ({ optionNames }) =>
      optionNames.includes('density') || optionNames.includes('rank') ? null : 'no option density or rank',
    example: projectorExamples,
    check: async (fixture: ProjectorFixture, example) => {
      const placed = place(fixture, example);
      const { density, rank } = example.options as { density?: number; rank?: number };
      const found = countOf(placed, fixture.traits.coordinate);
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
    notApplicable: noDensity,
    example: projectorExamples,
    check: async (fixture: ProjectorFixture, example) => {
      const { projector, site, refreshIndex } = placeWithDensity(fixture, example, 0);
      const reduced = projector.reducedShape(site, refreshIndex);
      require(reduced === null || sizeOf(reduced) === 0, () => `reducedShape is [${reduced}] with density 0`);
    },
  }),
  law({
    name: 'density 1 is everything',
    formula:
      'ρ = 1 ⟹ ΠG = G for the gradient of the refresh; a random subspace or a sketch keeps at least min(m, n) directions',
    why: 'With density 1 a hybrid must be its state-full rule.',
    needs: ['shapes as declared', 'down ∘ up = id'],
    notApplicable: fixture =>
      noDensity(fixture) ?? (fixture.sizedByGradient ? 'the size follows from the gradient' : null),
    example: projectorExamples,
    check: async (fixture: ProjectorFixture, example) => {
      const { projector, site, refreshIndex } = placeWithDensity(fixture, example, 1);
      const reduced = projector.reducedShape(site, refreshIndex);
      require(reduced !== null && sizeOf(reduced) > 0, () => 'nothing is in the subspace with density 1');
      const { traits } = fixture;
      if (!traits.orthonormal || (sizeOf(reduced!) < sizeOf(site.shape) && traits.basisFrom !== 'gradient')) {
        const { kept, limit } = withinParameter(reduced!, site.shape, traits.coordinate);
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
  law({
    name: 'rank by energy',
    formula:
      'of at most R vectors the first r: ‖ΠG‖² ≥ energy · ‖G‖² unless r = R, and with r - 1 of them less unless r is the least',
    why: 'One vector too few drops what was to be kept, one too many is memory for nothing.',
    needs: ['shapes as declared'],
    effort: 2,
    notApplicable: ({ sizedByGradient, optionNames }) =>
      sizedByGradient && optionNames.includes('energy') ? null : 'no option energy',
    example: projectorExamples,
    check: async (fixture: ProjectorFixture, example) => {
      const all = fitted(fixture, example);
      const { projector, site, refreshIndex, basis, reduced, values } = all;
      const { energy, minRank = 1 } = example.options as { readonly energy: number; readonly minRank?: number };
      const whole = norm(values) ** 2;
      const slack = 1e-5 * whole;
      const most = projector.reducedShape(site, refreshIndex)!;
      const least = Math.min(minRank, ...most);
      const keptBy = async (given: Basis): Promise<number> =>
        norm(await numbers(projectOnto({ projector, basis: given, site }, all.g))) ** 2;
      const rank = Math.min(...Object.values(basis).map(factor => factor.shape[1]!));
      require(rank >= least, () => `rank ${rank} is kept, ${least} at least were asked for`);
      const kept = await keptBy(basis);
      require(sameShape(reduced, most) || kept >= energy * whole - slack, () =>
        `rank ${rank} keeps ${show(kept / whole)} of the energy, ${energy} was asked for`);
      if (rank <= least || whole === 0) return;
      const without: Basis = Object.fromEntries(
        Object.entries(basis).map(([name, factor]) => [name, slice(factor as Tensor2D, [0, 0], [-1, rank - 1])]),
      );
      const fewer = await keptBy(without);
      require(fewer <= energy * whole + slack, () =>
        `rank ${rank} was chosen, but ${rank - 1} keeps ${show(fewer / whole)} of the energy and ${energy} was asked for`);
    },
  }),
  law({
    name: 'degenerate parameters',
    formula: 'on 1 × 1, 1 × n, n × 1, scalars, vectors and tensors of 3 axes: down ∘ up = id, or check refuses',
    why: 'Models have biases, single heads and tiny layers; what fails on them fails at the first step of training.',
    needs: ['shapes as declared', 'down ∘ up = id'],
    effort: 'once',
    example: fixture => fc.record({ options: fc.array(fixture.options, { minLength: 6, maxLength: 6 }) }),
    check: async (fixture: ProjectorFixture, { options }) => {
      for (const shape of degenerateShapes('any')) {
        for (const chosen of options) await tryShape(fixture, shape, chosen);
      }
    },
  }),
  law({
    name: 'large parameters',
    formula: 'on 48 × 20 and 20 × 48: down ∘ up = id',
    why: 'Orthonormalization that is good enough for nine columns may not be for forty; layers have thousands.',
    needs: ['shapes as declared', 'down ∘ up = id'],
    effort: 'once',
    example: fixture => fc.record({ options: fc.array(fixture.options, { minLength: 2, maxLength: 2 }) }),
    check: async (fixture: ProjectorFixture, { options }) => {
      for (const shape of LARGE) {
        for (const chosen of options) await tryShape(fixture, shape, chosen, ['normal', 'illConditioned']);
      }
    },
  }),
];

function noDensity({ optionNames }: ProjectorFixture): string | null {
  return optionNames.includes('density') ? null : 'no option density';
}

function placeWithDensity(fixture: ProjectorFixture, example: Parameters<typeof place>[1], density: number): Placed {
  const { rank: _, ...rest } = example.options as { rank?: number };
  return place(fixture, { ...example, options: { ...rest, density } });
}

/** What a size is counted in, and how much of it there is. */
interface Count {
  readonly kept: number;
  readonly of: number;
  /** The most that there can be, where that is less than all: a matrix has no more singular vectors. */
  readonly limit: number;
  /** Blocks: fewer than promised are allowed, as a pass over them may end with a short round, and one may be too many. */
  readonly areBlocks: boolean;
}

function requireDensity(density: number, { kept, of, limit, areBlocks }: Count): void {
  const exact = density * of;
  const promise = `density ${density} of ${of} is ${exact}`;
  // Blocks of which none is ever active would leave their parameters without a rule.
  if (areBlocks && density > 0 && kept === 1) return;
  require(kept <= exact + 0.5, () => `${promise}, ${kept} are kept`);
  require(areBlocks || kept === limit || kept > exact - 1, () => `${promise}, only ${kept} are kept`);
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
  return { kept, of: site.members.length, limit: site.members.length, areBlocks: true };
}

function withinParameter(reduced: Shape, shape: Shape, coordinate: boolean): Count {
  const all = sizeOf(shape);
  const entries = { kept: sizeOf(reduced), of: all, limit: all, areBlocks: false };
  if (sameShape(reduced, shape)) {
    // Everything: of whatever is counted, all are kept.
    const fewest = coordinate ? all : Math.min(...shape);
    return { kept: fewest, of: fewest, limit: fewest, areBlocks: false };
  }
  if (reduced.length < 2) return entries;
  const [rows, columns] = matrixView(shape);
  const smaller = Math.min(rows, columns);
  const limit = coordinate ? Number.POSITIVE_INFINITY : smaller;
  const [r, c] = matrixView(reduced);
  const along = (kept: number, of: number): Count => ({ kept, of, limit: Math.min(limit, of), areBlocks: false });
  if (r === rows) return along(c, columns);
  if (c === columns) return along(r, rows);
  return along(r, smaller);
}

/** Beyond the sizes that other laws draw; tall and wide. */
const LARGE: readonly Shape[] = [
  [48, 20],
  [20, 48],
];

async function tryShape(
  fixture: ProjectorFixture,
  shape: Shape,
  options: unknown,
  kinds: readonly MatrixKind[] = MATRIX_KINDS,
): Promise<void> {
  const site = siteOf({ shape, seed: 3, before: 1, after: 2 });
  const where = `shape [${shape}], options ${JSON.stringify(options)}`;
  const projector = madeFor(fixture, site, options);
  if (projector === null) return;
  try {
    const reduced = projector.reducedShape(site, 0);
    if (reduced === null || sizeOf(reduced) === 0) return;
    for (const kind of kinds) {
      const g = tensor(matrixValues(shape, { kind, exponent: 0, seed: 5 }), [...shape], 'float32');
      const basis = projector.fit(g, null, { site, refreshIndex: 0 });
      const x = normalTensor(shapeIn({ projector, basis, site, refreshIndex: 0 }), 1, 'x');
      const back = projector.down(projector.up(x, basis, site), basis, site);
      requireFinite(`up(down(G)) with ${where}`, await numbers(projectOnto({ projector, basis, site }, g)));
      if (!fixture.traits.orthonormal) continue;
      const tolerance = rounding(Math.max(...matrixView(shape))) * scaleOf(await numbers(x));
      requireClose(`down(up(X)) with ${where}`, await numbers(back), await numbers(x), tolerance);
    }
  } catch (error) {
    if (error instanceof BrokenLaw) throw error;
    throw new BrokenLaw(`with ${where} it throws ${String(error)}; check() should refuse such a parameter`);
  }
}

/** The projector, or null when it refuses the parameter. */
function madeFor(fixture: ProjectorFixture, site: Site, options: unknown): Projector | null {
  try {
    const projector = fixture.create(options, site);
    projector.check?.(site);
    return projector;
  } catch (error) {
    if (error instanceof FrugalError) return null;
    throw new BrokenLaw(`shape [${site.shape}] is refused with ${String(error)}, expected an error of @frugaljs/core`);
  }
}
