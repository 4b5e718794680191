import { type Projector, randomKey, randomSubset, type Site, sizeOf } from '@frugaljs/core';
import { blockwise, columns, dct, given, identity, randK, random, rows, svd } from '@frugaljs/projectors';
import { densities, type ProjectorClaims } from '@frugaljs/testing';
import fc from 'fast-check';

/** A built-in projector and what it claims. */
export interface BuiltIn {
  readonly kinds: readonly string[];
  factory(options: never, site: Site): Projector;
  readonly claims: ProjectorClaims<never>;
}

function builtIn<Options>(
  kinds: readonly string[],
  factory: (options: Options, site: Site) => Projector,
  claims: ProjectorClaims<Options>,
): BuiltIn {
  return { kinds, factory: factory as BuiltIn['factory'], claims: claims as unknown as ProjectorClaims<never> };
}

const density = densities();
const side = fc.constantFrom(
  'std' as const,
  'reverse_std' as const,
  'left' as const,
  'right' as const,
  'full' as const,
);
const rank = fc.integer({ min: 0, max: 3 });
const norm = fc.constantFrom('l1' as const, 'l2' as const);
const unit = fc.constantFrom('matrix' as const, 'layer' as const);
const sized = fc.oneof({ arbitrary: fc.record({ density, side }), weight: 3 }, fc.record({ rank, side }));

/** Every projector of the projectors package, with the options it is tried with. */
export const BUILT_IN_PROJECTORS: Readonly<Record<string, BuiltIn>> = {
  svd: builtIn(['svd'], svd, { options: sized, optimal: 1, permutationEquivariant: true }),
  'svd, randomized': builtIn(['svd'], svd, {
    options: fc.record({ density, side, method: fc.constant('randomized' as const), warmStart: fc.boolean() }),
  }),
  random: builtIn(['random'], random, { options: sized }),
  dct: builtIn(['dct'], dct, {
    options: fc.oneof({ arbitrary: fc.record({ density, norm }), weight: 3 }, fc.record({ rank, norm })),
  }),
  rows: builtIn(['rows'], rows, { parameters: 'at least 2 axes' }),
  columns: builtIn(['columns'], columns, { parameters: 'at least 1 axis' }),
  randK: builtIn(['randK'], randK, { parameters: 'any' }),
  'blockwise in random order': builtIn(['blockwise'], blockwise, {
    parameters: 'any',
    options: fc.record({
      density,
      order: fc.constantFrom('random' as const, 'shuffled' as const),
      unit,
    }),
  }),
  'blockwise in a fixed order': builtIn(['blockwise'], blockwise, {
    parameters: 'any',
    random: false,
    options: fc.record({
      density,
      order: fc.constantFrom('ascending' as const, 'descending' as const),
      unit,
      skip: fc.integer({ min: 0, max: 3 }),
    }),
  }),
  identity: builtIn(['identity'], () => identity(), { parameters: 'any', options: fc.constant({}) }),
  'given coordinates': builtIn(
    ['given'],
    ({ share, draw }: { share: number; draw: number }, { shape }) => {
      const count = sizeOf(shape);
      const at = (epoch: number): number[] =>
        Array.from(randomSubset(randomKey(draw, epoch), count, Math.trunc(share * count)));
      return given({ kind: 'randK', indices: { parameter: [at(0), at(1), at(2)] } });
    },
    { parameters: 'any', random: false, options: fc.record({ share: density, draw: fc.nat({ max: 999 }) }) },
  ),
};
