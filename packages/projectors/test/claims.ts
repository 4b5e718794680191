import { linear, type Projector, randomKey, randomSubset, type Site, sizeOf } from '@frugaljs/core';
import {
  asMatrix,
  blockwise,
  columns,
  dct,
  given,
  identity,
  randK,
  random,
  rows,
  sketch,
  svd,
  svdThenRandom,
  varying,
} from '@frugaljs/projectors';
import { densities, type ProjectorClaims } from '@frugaljs/testing';
import fc from 'fast-check';

/** A factory of projectors and what it claims. */
export interface Claimed {
  readonly kinds: readonly string[];
  factory(options: never, site: Site): Projector;
  readonly claims: ProjectorClaims<never>;
  /** It is refused where numbers cannot be read at once. */
  readonly reads?: true;
}

function claimed<Options>(
  kinds: readonly string[],
  factory: (options: Options, site: Site) => Projector,
  claims: ProjectorClaims<Options>,
): Claimed {
  return { kinds, factory: factory as Claimed['factory'], claims: claims as unknown as ProjectorClaims<never> };
}

const density = densities();
const side = fc.constantFrom(
  'std' as const,
  'reverse_std' as const,
  'left' as const,
  'right' as const,
  'full' as const,
);
const oneSide = fc.constantFrom('std' as const, 'reverse_std' as const, 'left' as const, 'right' as const);
const rank = fc.integer({ min: 0, max: 3 });
const norm = fc.constantFrom('l1' as const, 'l2' as const);
const unit = fc.constantFrom('matrix' as const, 'layer' as const);
const sized = fc.oneof({ arbitrary: fc.record({ density, side }), weight: 3 }, fc.record({ rank, side }));

interface FromTo {
  readonly from: number;
  readonly to: number;
}

/** Every projector of the package, with the options that the laws are tried with. */
export const PROJECTOR_CLAIMS: Readonly<Record<string, Claimed>> = {
  svd: claimed(['svd'], svd, { options: sized, optimal: 1, permutationEquivariant: true }),
  'svd, randomized': claimed(['svd'], svd, {
    options: fc.record({ density, side, method: fc.constant('randomized' as const), warmStart: fc.boolean() }),
  }),
  'svd, by energy': {
    ...claimed(['svd'], svd, {
      options: fc.record({
        density,
        side,
        energy: fc.constantFrom(0.9, 0.5, 0.99, 0, 1),
        minRank: fc.integer({ min: 1, max: 3 }),
      }),
      optimal: 1,
    }),
    reads: true,
  },
  'varying, svd by energy': {
    ...claimed(
      ['varying'],
      ({ from, to }: FromTo) => varying(share => svd({ density: share, energy: 0.8 }), linear({ from, to, steps: 3 })),
      { options: fc.record({ from: density, to: density }), parameters: 'matrix' },
    ),
    reads: true,
  },
  random: claimed(['random'], random, { options: sized }),
  sketch: claimed(['sketch'], sketch, {
    options: fc.oneof(
      { arbitrary: fc.record({ density, side: oneSide }), weight: 3 },
      fc.record({ rank, side: oneSide }),
    ),
  }),
  varying: claimed(
    ['varying'],
    ({ from, to }: FromTo) => varying(share => randK({ density: share }), linear({ from, to, steps: 3 })),
    { options: fc.record({ from: density, to: density }) },
  ),
  'varying, svd': claimed(
    ['varying'],
    ({ from, to }: FromTo) => varying(share => svd({ density: share }), linear({ from, to, steps: 3 })),
    { options: fc.record({ from: density, to: density }), parameters: 'matrix' },
  ),
  svdThenRandom: claimed(['svdThenRandom'], svdThenRandom, {
    // From the larger side, a random basis of as many vectors as there are singular ones is not everything.
    options: fc.oneof(
      fc.record({ density, fitted: fc.integer({ min: 0, max: 3 }) }),
      fc.record({ density, side, fitted: fc.constant(1000) }),
    ),
  }),
  dct: claimed(['dct'], dct, {
    options: fc.oneof({ arbitrary: fc.record({ density, norm }), weight: 3 }, fc.record({ rank, norm })),
  }),
  rows: claimed(['rows'], rows, { parameters: 'at least 2 axes' }),
  columns: claimed(['columns'], columns, { parameters: 'at least 1 axis' }),
  randK: claimed(['randK'], randK, { parameters: 'any' }),
  'randK, as its first revision drew': claimed(
    ['randK'],
    (options: { density: number }) => {
      const now = randK(options);
      return { ...now, revision: 1, fit: (g, previous, context) => now.fit(g, previous, { ...context, revision: 1 }) };
    },
    { parameters: 'any' },
  ),
  'blockwise in random order': claimed(['blockwise'], blockwise, {
    parameters: 'any',
    options: fc.record({
      density,
      order: fc.constantFrom('random' as const, 'shuffled' as const),
      unit,
    }),
  }),
  'blockwise in a fixed order': claimed(['blockwise'], blockwise, {
    parameters: 'any',
    random: false,
    options: fc.record({
      density,
      order: fc.constantFrom('ascending' as const, 'descending' as const),
      unit,
      skip: fc.integer({ min: 0, max: 3 }),
    }),
  }),
  'asMatrix of svd': claimed(['asMatrix'], (options: Parameters<typeof svd>[0]) => asMatrix(svd(options)), {
    parameters: 'at least 2 axes',
    options: sized,
  }),
  // The laws of singular vectors are about matrices.
  'asMatrix of svd, on matrices': claimed(
    ['asMatrix'],
    (options: Parameters<typeof svd>[0]) => asMatrix(svd(options)),
    {
      options: sized,
      optimal: 1,
      permutationEquivariant: true,
    },
  ),
  'asMatrix of random': claimed(['asMatrix'], (options: Parameters<typeof random>[0]) => asMatrix(random(options)), {
    parameters: 'at least 2 axes',
    options: sized,
  }),
  'asMatrix of dct': claimed(['asMatrix'], (options: Parameters<typeof dct>[0]) => asMatrix(dct(options)), {
    parameters: 'at least 2 axes',
    options: fc.record({ density, norm }),
  }),
  identity: claimed(['identity'], () => identity(), { parameters: 'any', options: fc.constant({}) }),
  'given coordinates': claimed(
    ['given'],
    ({ share, draw }: { share: number; draw: number }, { shape }) => {
      const count = sizeOf(shape);
      const at = (refreshIndex: number): number[] =>
        Array.from(randomSubset(randomKey(draw, refreshIndex), count, Math.trunc(share * count)));
      return given({ kind: 'randK', indices: { parameter: [at(0), at(1), at(2)] } });
    },
    { parameters: 'any', random: false, options: fc.record({ share: density, draw: fc.nat({ max: 999 }) }) },
  ),
};
