import {
  type Basis,
  type FitContext,
  type Projector,
  randomKey,
  randomPermutation,
  type Shape,
  sameShape,
  sizeOf,
} from '@frugaljs/core';
import { dispose, mul, type Tensor, tensor } from '@tensorflow/tfjs-core';
import fc from 'fast-check';
import {
  type Law,
  law,
  optionsToRemake,
  require,
  requireClose,
  requireSame,
  rounding,
  scaleOf,
  show,
  survivesJson,
} from '../law.js';
import { maxAbs, norm, singularValues } from '../numerics.js';
import {
  basisNumbers,
  choosesNoCoordinates,
  fitted,
  isAsDeclared,
  normalTensor,
  notOrthonormal,
  numbers,
  type ProjectorFixture,
  place,
  projectOnto,
  projectorExamples,
  takesNoParts,
} from './fixture.js';

const notFromGradient = ({ traits }: ProjectorFixture): string | null =>
  traits.basisFrom === 'gradient' ? null : `the basis is from the ${traits.basisFrom}`;

/** Gradients that the worth of a fitted basis is averaged over. */
const GRADIENTS = 60;
const SQUARE: Shape = [6, 6];
const FALSE_ALARM = 1e-10;

/** Seeds that a revision and the one before it are compared for. */
const SEEDS = 41;

/** Laws of the basis: what it follows from, what it is worth, and how it goes on after loading and with a new version. */
export const BASIS_LAWS: readonly Law<ProjectorFixture>[] = [
  law({
    name: 'same seed, same basis',
    formula: 'fit is a function of (gradient, previous basis, seed, parameter, refresh), also in a new instance',
    why: 'A resumed run derives the basis again; hidden counters or generators let it continue in another subspace.',
    needs: ['shapes as declared'],
    example: projectorExamples,
    check: async (fixture: ProjectorFixture, example) => {
      const { projector, site, refreshIndex, basis, g } = fitted(fixture, example);
      const first = await basisNumbers(basis);
      requireSame(
        'the basis of a second fit',
        await basisNumbers(projector.fit(g, null, { site, refreshIndex })),
        first,
      );
      // Other refreshes in between leave no trace.
      projector.fit(g, basis, { site, refreshIndex: refreshIndex + 3 });
      const fresh = fixture.create(example.options, site);
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
    notApplicable: ({ traits }) => (traits.basisFrom === 'gradient' ? 'the basis is from the gradient' : null),
    example: projectorExamples,
    check: async (fixture: ProjectorFixture, example) => {
      const { projector, site, refreshIndex, basis, g } = fitted(fixture, example);
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
    notApplicable: ({ traits }) => (traits.basisFrom === 'fixed' ? null : `the basis is from the ${traits.basisFrom}`),
    example: projectorExamples,
    check: async (fixture: ProjectorFixture, example) => {
      const { projector, site, refreshIndex, basis, reduced } = fitted(fixture, example);
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
    notApplicable: choosesNoCoordinates,
    example: projectorExamples,
    check: async (fixture: ProjectorFixture, example) => {
      const { basis } = fitted(fixture, example);
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
    notApplicable: ({ optimal }) => (optimal === null ? 'no claim optimal' : null),
    example: projectorExamples,
    check: async (fixture: ProjectorFixture, example) => {
      const all = fitted(fixture, example);
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
        const bound = lost * fixture.optimal! + 4 * rounding(Math.max(m, n));
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
    notApplicable: fixture => notFromGradient(fixture) ?? takesNoParts(fixture) ?? notOrthonormal(fixture),
    example: () => fc.record({ seed: fc.nat({ max: 9999 }) }),
    check: requireBetterThanChance,
  }),
  law({
    name: 'scale equivariance',
    formula: 'Π fitted to cG is Π fitted to G',
    why: 'Loss scaling and clipping must not choose another subspace.',
    needs: ['shapes as declared', 'down ∘ up = id'],
    notApplicable: notFromGradient,
    example: projectorExamples,
    check: async (fixture: ProjectorFixture, example) => {
      const all = fitted(fixture, example);
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
    notApplicable: ({ permutationEquivariant }) => (permutationEquivariant ? null : 'no claim permutationEquivariant'),
    example: projectorExamples,
    check: async (fixture: ProjectorFixture, example) => {
      const all = fitted(fixture, example);
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
  law({
    name: 'restored from the checkpoint',
    formula: 'a projector made again from its JSON options, with its saved or re-derived basis, gives the same numbers',
    why: 'A resumed run must go on in the same subspace, bit for bit.',
    needs: ['shapes as declared', 'same seed, same basis'],
    example: projectorExamples,
    check: async (fixture: ProjectorFixture, example) => {
      const { projector, site, refreshIndex, reduced, basis, g } = fitted(fixture, example);
      require(survivesJson(projector.options), () =>
        `options do not survive JSON, which makes them ${JSON.stringify(projector.options)}`);
      const again = fixture.create(optionsToRemake(example.options, projector.options), site);
      const options = JSON.stringify(again.options);
      require(options === JSON.stringify(projector.options), () =>
        `made again from ${JSON.stringify(projector.options)} the options are ${options}`);
      const [first, shape] = [projector, again].map(each => each.reducedShape(site, refreshIndex));
      require(shape !== null && sameShape(shape!, first!), () =>
        `made from ${JSON.stringify(example.options)}, again from ${options}: down(G) is [${first}], then [${shape}]`);
      const saved = await savedBasis(again, basis, { site, refreshIndex });
      const x = normalTensor(reduced, example.seed, 'x');
      requireSame(
        'down(G) after loading',
        await numbers(again.down(g, saved, site)),
        await numbers(projector.down(g, basis, site)),
      );
      requireSame(
        'up(X) after loading',
        await numbers(again.up(x, saved, site)),
        await numbers(projector.up(x, basis, site)),
      );
    },
  }),
  law({
    name: 'transport',
    formula:
      'to the same subspace: no change, unless it is a sketch; to another, degree 1: down_to(up_from(X)); degree 2 keeps X ≥ 0 non-negative',
    why: 'Momentum must follow the subspace, and second moments must not become negative on the way.',
    needs: ['shapes as declared', 'down ∘ up = id'],
    notApplicable: ({ transports }) => (transports ? null : 'the projector has no transport of its own'),
    example: projectorExamples,
    check: async (fixture: ProjectorFixture, example) => {
      const all = fitted(fixture, example);
      const { projector, site, refreshIndex, reduced, basis } = all;
      const transport = projector.transport!.bind(projector);
      const x = normalTensor(reduced, example.seed, 'x');
      const terms = 4 * rounding(Math.max(...site.shape));
      const tolerance = terms * scaleOf(await numbers(x));
      for (const degree of fixture.traits.orthonormal ? ([1, 2] as const) : []) {
        const stayed = transport(x, basis, basis, site, degree);
        requireClose(
          `transport of degree ${degree} to the same basis`,
          await numbers(stayed),
          await numbers(x),
          tolerance,
        );
      }
      const next = projector.fit(normalTensor(site.shape, example.seed, 'next'), null, {
        site,
        refreshIndex: refreshIndex + 1,
      });
      const there = await numbers(projector.down(projector.up(x, basis, site), next, site));
      const carried = await numbers(transport(x, basis, next, site, 1));
      requireClose('transport of degree 1', carried, there, terms * scaleOf(await numbers(x), there));
      const squares = mul(x, x);
      const least = Math.min(...(await numbers(transport(squares, basis, next, site, 2))));
      require(least >= 0, () => `transport of degree 2 turns squares into ${show(least)}`);
    },
  }),
  law({
    name: 'earlier revisions',
    formula: 'revision = current by default; an earlier one gives a basis of the declared shapes, mostly another',
    why: 'State that an earlier version saved belongs to the subspace that version chose; in another it is noise.',
    needs: ['shapes as declared', 'basis from the seed alone'],
    notApplicable: ({ revision }) => (revision === 1 ? 'there is one revision' : null),
    example: projectorExamples,
    check: async (fixture: ProjectorFixture, example) => {
      const { projector, site, refreshIndex } = place(fixture, example);
      const { revision: current = 1 } = projector;
      const reduced = projector.reducedShape(site, refreshIndex);
      // With fewer directions revisions may well agree for every seed.
      fc.pre(reduced !== null && sizeOf(reduced) >= 3 && sizeOf(site.shape) >= sizeOf(reduced) + 3);
      const specs = Object.entries(projector.basis(site, refreshIndex));
      const basisOf = async (seed: number, revision?: number): Promise<number[]> => {
        const where = { ...site, seed };
        const context = { site: where, refreshIndex, ...(revision === undefined ? {} : { revision }) };
        const basis = fitAfterAnother(projector, context);
        for (const [name, { shape, dtype }] of specs) {
          const found = basis[name];
          require(found !== undefined && found.dtype === dtype && isAsDeclared(projector, found.shape, shape), () =>
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

/** The basis of a refresh; one that is fitted may follow from a drawn gradient and from the basis of another before. */
function fitAfterAnother(projector: Projector, context: FitContext): Basis {
  if (projector.traits.basisFrom !== 'gradient') return projector.fit(null, null, context);
  const { shape, seed } = context.site;
  const [before, now] = [normalTensor(shape, seed, 'before'), normalTensor(shape, seed, 'now')];
  const previous = projector.fit(before, null, context);
  const basis = projector.fit(now, previous, context);
  dispose([before, now, { ...previous }]);
  return basis;
}

/**
 * By Hoeffding's inequality the mean of N numbers in [0, 1] is further than ε below its expectation with probability at
 * most exp(-2N ε²). Of subspaces that are nearly nothing or everything a wrong choice shows least.
 */
async function requireBetterThanChance(fixture: ProjectorFixture, { seed }: { readonly seed: number }): Promise<void> {
  const drawn = fc.sample(fixture.options, { seed, numRuns: 8 * GRADIENTS });
  let [count, kept, share] = [0, 0, 0];
  for (const [i, options] of drawn.entries()) {
    if (count === GRADIENTS) break;
    const matrix = { kind: 'heavyTailed', exponent: 0, seed: seed + i } as const;
    const example = { shape: SQUARE, options, matrix, refreshIndex: 0, seed, before: 0, after: 0 };
    const { projector, site } = place(fixture, example);
    const declared = sizeOf(projector.reducedShape(site, 0) ?? [0]) / sizeOf(SQUARE);
    if (declared < 0.5 || declared > 0.9) continue;
    const all = fitted(fixture, example);
    const part = sizeOf(all.reduced) / sizeOf(SQUARE);
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

/** A basis as it comes back: from saved numbers when it is fitted to a gradient, else derived again. */
async function savedBasis(
  projector: Projector,
  basis: Basis,
  context: Parameters<Projector['fit']>[2],
): Promise<Basis> {
  if (projector.traits.basisFrom !== 'gradient') return projector.fit(null, null, context);
  const restored: Record<string, Tensor> = {};
  for (const [name, { shape, dtype }] of Object.entries(projector.basis(context.site, context.refreshIndex))) {
    const { shape: saved } = basis[name]!;
    require(isAsDeclared(projector, saved, shape), () => `basis.${name} is [${saved}], its spec [${shape}]`);
    restored[name] = tensor(Array.from(await numbers(basis[name]!)), [...saved], dtype);
  }
  return restored;
}
