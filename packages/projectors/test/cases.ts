import {
  type Described,
  randomKey,
  randomSubset,
  type Shape,
  type Site,
  type SiteMember,
  sizeOf,
} from '@frugaljs/core';
import { PROJECTORS } from '@frugaljs/projectors';
import fc from 'fast-check';

/** A projector's options, and a parameter it works on. */
export interface Case {
  readonly kind: string;
  readonly options: Described['options'];
  readonly site: Site;
  readonly epoch: number;
}

// Evenly over the interval: fast-check's doubles are mostly tiny.
const density = fc.oneof(
  fc.constantFrom(0, 0.25, 0.5, 0.75, 1, 1),
  fc.integer({ min: 0, max: 997 }).map(i => i / 997),
);
const side = fc.constantFrom('std', 'reverse_std', 'left', 'right', 'full');

/** Tall, wide and square matrices, among them 1 × n and n × 1. */
const matrix: fc.Arbitrary<Shape> = fc.oneof(
  fc.tuple(fc.integer({ min: 1, max: 12 }), fc.integer({ min: 1, max: 12 })),
  fc.integer({ min: 1, max: 10 }).map(n => [n, n] as const),
  fc.integer({ min: 1, max: 20 }).chain(n => fc.constantFrom<Shape>([1, n], [n, 1])),
);
const tensor: fc.Arbitrary<Shape> = fc.array(fc.integer({ min: 1, max: 4 }), { minLength: 3, maxLength: 4 });
const vector: fc.Arbitrary<Shape> = fc.tuple(fc.integer({ min: 1, max: 20 }));

function shapesOf(kind: string): fc.Arbitrary<Shape> {
  switch (PROJECTORS[kind]!.parameters) {
    case 'matrix':
      return matrix;
    case 'at least 2 axes':
      return fc.oneof(matrix, tensor);
    case 'at least 1 axis':
      return fc.oneof(matrix, tensor, vector);
    case 'any':
      return fc.oneof(matrix, tensor, vector, fc.constant<Shape>([]));
  }
}

function optionsOf(kind: string, shape: Shape): fc.Arbitrary<Described['options']> {
  const smaller = Math.min(...shape);
  const size = fc.oneof(
    fc.record({ density }),
    fc.integer({ min: 0, max: Math.min(smaller, 12) }).map(rank => ({ rank })),
  );
  switch (kind) {
    case 'svd':
    case 'random':
      return fc.tuple(size, side).map(([chosen, s]) => ({ ...chosen, side: s }));
    case 'dct':
      return fc.tuple(size, fc.constantFrom('l1', 'l2')).map(([chosen, norm]) => ({ ...chosen, norm }));
    case 'identity':
      return fc.constant({});
    case 'blockwise':
      return fc.record({
        density,
        order: fc.constantFrom('random', 'shuffled', 'ascending', 'descending'),
        unit: fc.constantFrom('matrix', 'layer'),
        skip: fc.integer({ min: 0, max: 3 }),
      });
    case 'given':
      return fc.tuple(density, fc.nat()).map(([share, seed]) => {
        const count = sizeOf(shape);
        const at = (epoch: number): number[] =>
          Array.from(randomSubset(randomKey(seed, epoch), count, Math.trunc(share * count)));
        return { kind: 'randK', indices: { parameter: [at(0), at(1), at(2)] } };
      });
    default:
      return fc.record({ density });
  }
}

function siteOf(shape: Shape): fc.Arbitrary<Site> {
  return fc
    .record({ seed: fc.nat(), before: fc.integer({ min: 0, max: 5 }), after: fc.integer({ min: 0, max: 5 }) })
    .map(({ seed, before, after }) => {
      const other = (_: unknown, i: number): SiteMember => ({ name: `layers.${i}.weight`, shape: [3, 3] });
      const members = [
        ...Array.from({ length: before }, other),
        { name: 'parameter', shape },
        ...Array.from({ length: after }, other),
      ];
      return { name: 'parameter', shape, seed, path: '', members, index: before };
    });
}

/** Cases for the projector of this name. */
export function casesOf(kind: string): fc.Arbitrary<Case> {
  // Without the bias towards small numbers, which leaves most subspaces empty.
  return fc.noBias(
    shapesOf(kind).chain(shape =>
      fc.record({
        kind: fc.constant(kind),
        options: optionsOf(kind, shape),
        site: siteOf(shape),
        epoch: fc.integer({ min: 0, max: 5 }),
      }),
    ),
  );
}
