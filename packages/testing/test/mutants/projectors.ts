import {
  type Basis,
  type FitContext,
  type Projector,
  randomKey,
  randomNormals,
  randomPermutation,
  randomSubset,
  randomUniform,
  sizeOf,
} from '@frugaljs/core';
import { columns, dct, identity, randK, random, rows, sketch, svd } from '@frugaljs/projectors';
import { checkProjector, densities, type ProjectorClaims } from '@frugaljs/testing';
import {
  abs,
  add,
  clipByValue,
  div,
  keep,
  linalg,
  mul,
  norm,
  slice,
  type Tensor,
  type Tensor2D,
  tensor1d,
  tensor2d,
  tidy,
  transpose,
} from '@tensorflow/tfjs-core';
import fc from 'fast-check';
import type { Mutant } from './mutant.js';
import { denseOfRank, keyOf, oblique, rowsOfCount, smallest, smallestRows } from './wrong-projectors.js';

type Options = { readonly density: number };
type Change = (right: Projector, options: Options) => Partial<Projector>;

/** A projector with some methods replaced by wrong ones. */
function broken(
  fault: string,
  law: string,
  make: (options: Options) => Projector,
  change: Change,
  claims: ProjectorClaims<Options> = {},
): Mutant {
  const factory = (options: Options): Projector => {
    const right = make(options);
    return { ...right, ...change(right, options) };
  };
  return { fault, law, check: () => checkProjector(factory, { ...claims, bail: true }) };
}

const byEnergy = fc.record({ density: fc.constantFrom(1, 0.75), energy: fc.constantFrom(0.8, 0.5) });

/** A basis without the last vector of more than one. */
function withoutLast(basis: Basis): Basis {
  const cut = (factor: Tensor): Tensor => slice(factor as Tensor2D, [0, 0], [-1, Math.max(1, factor.shape[1]! - 1)]);
  return Object.fromEntries(Object.entries(basis).map(([name, factor]) => [name, cut(factor)]));
}

type Draw = (count: number, size: number, context: FitContext) => ArrayLike<number>;

/** RandK with another way to draw its indices. */
function drawing(fault: string, law: string, draw: Draw): Mutant {
  return broken(fault, law, randK, (right, { density }) => ({
    revision: 1,
    fit: (_g, _previous, context) => {
      const count = sizeOf(context.site.shape);
      return { indices: tensor1d(Int32Array.from(draw(count, Math.trunc(density * count), context)), 'int32') };
    },
    ...(right.check === undefined ? {} : { check: right.check }),
  }));
}

/** A basis with every tensor changed. */
function mapped(basis: Basis, change: (x: Tensor) => Tensor): Basis {
  const changed = Object.fromEntries(Object.entries(basis).map(([name, x]) => [name, change(x)]));
  for (const x of Object.values(basis)) x.dispose();
  return changed;
}

const copied = (basis: Basis): Basis => Object.fromEntries(Object.entries(basis).map(([name, x]) => [name, x.clone()]));

const SKETCHED = { orthonormal: false, coordinate: false, basisFrom: 'seed', unbiased: true } as const;

let calls = 0;

export const PROJECTOR_MUTANTS: readonly Mutant[] = [
  broken('basis scaled by 2', 'down ∘ up = id', random, right => ({
    fit: (g, previous, context) => mapped(right.fit(g, previous, context), x => mul(x, 2)),
  })),
  broken('basis scaled by 1.001', 'down ∘ up = id', random, right => ({
    fit: (g, previous, context) => mapped(right.fit(g, previous, context), x => mul(x, 1.001)),
  })),
  broken('Gaussian basis instead of an orthonormal one', 'down ∘ up = id', random, right => ({
    fit: (g, previous, context) =>
      mapped(right.fit(g, previous, context), x => {
        const [a, r] = x.shape as [number, number];
        return tensor2d(
          randomNormals(keyOf(context), a * r).map(y => y / Math.sqrt(a)),
          [a, r],
        );
      }),
  })),
  broken('up transposed', 'shapes as declared', random, right => ({
    up: (x, basis, site) => transpose(right.up(x, basis, site) as Tensor2D),
  })),
  broken(
    'up with an oblique (dual) basis',
    'up is the adjoint of down',
    () => oblique(),
    () => ({}),
    {
      options: fc.constant({ density: 0.5 }),
      random: false,
    },
  ),
  broken('reducedShape one too large', 'shapes as declared', columns, right => ({
    reducedShape: (site, refreshIndex) => {
      const shape = right.reducedShape(site, refreshIndex)!;
      return [...shape.slice(0, -1), shape.at(-1)! + 1];
    },
  })),
  broken(
    'rank off by one',
    'budget',
    ({ density }) => rowsOfCount(m => Math.min(m, Math.trunc(density * m) + 1)),
    () => ({}),
  ),
  broken(
    'ties rounded up, not to even',
    'budget',
    ({ density }) => denseOfRank(a => Math.round(density * a)),
    () => ({}),
  ),
  broken(
    'rank rounded up',
    'budget',
    ({ density }) => denseOfRank(a => Math.ceil(density * a)),
    () => ({}),
  ),
  drawing('indices drawn with replacement', 'down ∘ up = id', (count, size, context) =>
    Array.from({ length: size }, (_, i) => Math.floor(randomUniform(keyOf(context), i) * count)).sort((a, b) => a - b),
  ),
  drawing('indices not sorted', 'indices ascend', (count, size, context) =>
    randomPermutation(keyOf(context), count).slice(0, size),
  ),
  drawing('the first entry drawn nearly always', 'unbiased', (count, size, context) =>
    size === 0 || randomUniform(keyOf(context), 1e6) < 0.1
      ? randomSubset(keyOf(context), count, size)
      : [0, ...randomSubset(keyOf(context), count - 1, size - 1).map(i => i + 1)],
  ),
  drawing('a random window instead of a random subset', 'unbiased', (count, size, context) => {
    const start = Math.floor(randomUniform(keyOf(context), 0) * (count - size + 1));
    return Array.from({ length: size }, (_, i) => start + i);
  }),
  drawing('biased shuffle: small numbers preferred', 'unbiased', (count, size, context) => {
    const chosen = new Set<number>();
    for (let i = 0; chosen.size < size; i++) chosen.add(Math.floor(randomUniform(keyOf(context), i) ** 4 * count));
    return [...chosen].sort((a, b) => a - b);
  }),
  drawing('refresh ignored: the basis is never refreshed', 'other refresh, other basis', (count, size, { site }) =>
    randomSubset(randomKey(site.seed, site.name, site.path), count, size),
  ),
  drawing('seed ignored', 'other seed, other basis', (count, size, { site, refreshIndex }) =>
    randomSubset(randomKey(7, site.name, site.path, refreshIndex), count, size),
  ),
  drawing('seed and refresh added', 'other seed, other basis', (count, size, { site, refreshIndex }) =>
    randomSubset(randomKey(site.seed + refreshIndex, site.name, site.path), count, size),
  ),
  drawing('name of the parameter ignored', 'other parameter, other basis', (count, size, { site, refreshIndex }) =>
    randomSubset(randomKey(site.seed, site.path, refreshIndex), count, size),
  ),
  broken('place in nested splits ignored', 'other split, other basis', random, right => ({
    fit: (g, previous, context) => right.fit(g, previous, { ...context, site: { ...context.site, path: '' } }),
  })),
  broken('orthonormalized uniform numbers between 0 and 1', 'unbiased', random, right => ({
    fit: (g, previous, context) =>
      tidy(() =>
        mapped(right.fit(g, previous, context), x => {
          const key = keyOf(context);
          const values = Float32Array.from({ length: x.size }, (_, i) => randomUniform(key, i));
          return linalg.qr(tensor2d(values, x.shape as [number, number]))[0];
        }),
      ),
  })),
  drawing('a generator with hidden state: another basis at every call', 'same seed, same basis', (count, size) =>
    randomSubset(randomKey(1, calls++), count, size),
  ),
  drawing('occupied coordinates ignored', 'keeps clear of occupied coordinates', (count, size, context) =>
    randomSubset(keyOf(context), count, size),
  ),
  broken('previous basis returned: never refreshed', 'basis from the seed alone', randK, right => ({
    fit: (g, previous, context) => (previous === null ? right.fit(g, null, context) : copied(previous)),
  })),
  broken(
    'fit to the gradient although basisFrom is seed',
    'basis from the seed alone',
    dct,
    () => ({
      traits: { orthonormal: true, coordinate: false, basisFrom: 'seed' },
    }),
    { random: false },
  ),
  broken(
    'basisFrom is fixed, but it moves',
    'fixed basis',
    randK,
    () => ({
      traits: { orthonormal: true, coordinate: true, basisFrom: 'fixed' },
    }),
    { random: false },
  ),
  broken('gradient changed in place', 'inputs untouched', rows, right => ({
    down: (g, basis, site) => {
      const low = right.down(g, basis, site);
      const values = g.dataSync();
      values[0] = values[0]! + 1;
      return low;
    },
  })),
  broken('gradient disposed', 'inputs untouched', rows, right => ({
    down: (g, basis, site) => {
      const low = right.down(g, basis, site);
      g.dispose();
      return low;
    },
  })),
  broken(
    'the input itself returned',
    'inputs untouched',
    () => identity(),
    () => ({ down: g => g, up: x => x }),
    {
      options: fc.constant({ density: 1 }),
    },
  ),
  broken('a tensor leaked in down', 'no leaks', columns, right => ({
    down: (g, basis, site) => {
      mul(g, 2);
      return right.down(g, basis, site);
    },
  })),
  broken('a tensor kept in fit', 'shapes as declared', columns, right => ({
    fit: (g, previous, context) => {
      keep(tensor1d([1]));
      return right.fit(g, previous, context);
    },
  })),
  broken('a constant added in down', 'linearity', random, right => ({
    down: (g, basis, site) => tidy(() => add(right.down(g, basis, site), 1e-3)),
  })),
  broken('gradient normalized in down', 'linearity', random, right => ({
    down: (g, basis, site) => tidy(() => right.down(div(g, add(norm(g), 1e-30)), basis, site)),
  })),
  broken('coordinates rounded on the way', 'coordinates are kept or dropped', columns, right => ({
    up: (x, basis, site) => tidy(() => mul(right.up(x, basis, site), 1 + 2 ** -22)),
  })),
  broken(
    'smallest singular vectors instead of the largest',
    'no better subspace (Eckart–Young)',
    smallest,
    () => ({}),
    { optimal: 1 },
  ),
  broken(
    'stale singular vectors',
    'no better subspace (Eckart–Young)',
    svd,
    right => ({
      fit: (g, previous, context) => (previous === null ? right.fit(g, null, context) : copied(previous)),
    }),
    { optimal: 1 },
  ),
  broken('fixed cosines sold as singular vectors', 'no better subspace (Eckart–Young)', dct, () => ({}), {
    optimal: 1,
  }),
  broken('rows of the smallest norm instead of the largest', 'better than chance', smallestRows, () => ({})),
  broken(
    'one vector fewer than the energy asks for',
    'rank by energy',
    svd,
    right => ({
      fit: (g, previous, context) => tidy(() => withoutLast({ ...right.fit(g, previous, context) })),
    }),
    { options: byEnergy },
  ),
  broken(
    'all the energy whatever is asked for',
    'rank by energy',
    svd,
    (_right, options) => ({
      fit: (g, previous, context) => svd({ ...options, energy: 1 }).fit(g, previous, context),
    }),
    { options: byEnergy },
  ),
  broken('gradient clipped before fitting', 'scale equivariance', svd, right => ({
    fit: (g, previous, context) => tidy(() => right.fit(clipByValue(g!, -0.5, 0.5), previous, context)),
  })),
  broken('a revision that is counted but draws as the one before', 'earlier revisions', columns, right => ({
    revision: 2,
    fit: (g, previous, { site, refreshIndex }) => right.fit(g, previous, { site, refreshIndex }),
  })),
  broken('the first revision by default', 'earlier revisions', randK, right => ({
    fit: (g, previous, context) => right.fit(g, previous, { revision: 1, ...context }),
  })),
  broken('options left out of the description', 'restored from the checkpoint', randK, () => ({ options: {} })),
  broken(
    'one of two options left out of the description',
    'restored from the checkpoint',
    options => random({ side: 'left', ...options }),
    (_right, { density }) => ({ options: { density } }),
    { options: fc.record({ density: densities(), side: fc.constantFrom('left' as const, 'right' as const) }) },
  ),
  broken(
    'a vector not refused by what needs two axes',
    'degenerate parameters',
    ({ density }) => denseOfRank(n => Math.trunc(density * n)),
    () => ({ check: () => {} }),
  ),
  broken('orthonormal for small matrices only', 'large parameters', random, right => ({
    up: (x, basis, site) => tidy(() => mul(right.up(x, basis, site), Math.max(...site.shape) > 30 ? 1 + 1e-3 : 1)),
  })),
  broken('options rounded in JSON', 'restored from the checkpoint', randK, (_right, { density }) => ({
    options: { density: Math.round(density * 4) / 4 },
  })),
  broken('squares transported like momentum', 'transport', random, right => ({
    transport: (x, from, to, site) => right.transport!(x, from, to, site, 1),
  })),
  broken('a sketch sold as an orthonormal basis', 'down ∘ up = id', sketch, () => ({
    traits: { orthonormal: true, coordinate: false, basisFrom: 'seed' },
  })),
  broken('an orthonormal basis sold as a sketch', 'a sketch is right on average', random, () => ({
    traits: SKETCHED,
  })),
  broken(
    'a sketch divided by the root of the dimension, not of the rank',
    'a sketch is right on average',
    sketch,
    right => ({
      fit: (g, previous, context) =>
        mapped(right.fit(g, previous, context), x => mul(x, Math.sqrt(x.shape[1]! / x.shape[0]!))),
    }),
  ),
  broken('a sketch of numbers of one sign', 'a sketch is right on average', sketch, right => ({
    fit: (g, previous, context) => mapped(right.fit(g, previous, context), abs),
  })),
  broken('a sketch lifted by twice its transpose', 'up is the adjoint of down', sketch, right => ({
    up: (x, basis, site) => tidy(() => mul(right.up(x, basis, site), 2)),
  })),
  broken('the projected axis said to be kept', 'the kept axis', random, right => ({
    keeps: site => (right.keeps!(site) === 'row' ? 'column' : 'row'),
  })),
  broken('division by the norm of a zero gradient', 'any finite gradient', svd, right => ({
    fit: (g, previous, context) =>
      tidy(() => mapped(right.fit(g, previous, context), x => mul(x, div(norm(g!), norm(g!))))),
  })),
];
