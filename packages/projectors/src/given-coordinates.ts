import { InvalidOptionError, matrixView, type Projector, type Shape, sizeOf } from '@frugaljs/core';
import { tensor1d } from '@tensorflow/tfjs-core';
import { columns } from './columns.js';
import type { GivenSource } from './given-source.js';
import { indexSpec } from './index-draw.js';
import { randK } from './rand-k.js';
import { rows } from './rows.js';

export type CoordinateKind = 'rows' | 'columns' | 'randK';

interface Selection {
  readonly projector: Projector<'indices'>;
  /** Number of coordinates to choose from. */
  count(shape: Shape): number;
  reduced(shape: Shape, kept: number): Shape;
}

const SELECTIONS: Readonly<Record<CoordinateKind, Selection>> = {
  rows: {
    projector: rows({ density: 1 }),
    count: shape => matrixView(shape)[0],
    reduced: (shape, kept) => [kept, matrixView(shape)[1]],
  },
  columns: {
    projector: columns({ density: 1 }),
    count: shape => matrixView(shape)[1],
    reduced: (shape, kept) => [...shape.slice(0, -1), kept],
  },
  randK: { projector: randK({ density: 1 }), count: sizeOf, reduced: (_shape, kept) => [kept] },
};

type CoordinateMethods = Omit<Projector<'indices'>, 'kind' | 'options'>;

/** The methods of a projector onto given coordinates. */
export function givenCoordinates(kind: CoordinateKind, source: GivenSource<readonly number[]>): CoordinateMethods {
  const { projector, count, reduced } = SELECTIONS[kind];
  const at = (name: string, shape: Shape, refreshIndex: number): Int32Array =>
    ascending(`given.indices["${name}"][${refreshIndex}]`, source.at(name, refreshIndex), count(shape));
  const kept = (name: string, shape: Shape, refreshIndex: number): number => {
    const [first, now] = [at(name, shape, 0).length, at(name, shape, refreshIndex).length];
    if (now === first) return now;
    throw new InvalidOptionError({
      parameter: `given.indices["${name}"][${refreshIndex}]`,
      found: `${now} indices`,
      expected: `${first} indices as in refresh 0, because state keeps its shape`,
    });
  };
  return {
    traits: { orthonormal: true, coordinate: true, basisFrom: 'seed' },
    check: site => {
      projector.check?.(site);
      for (let refreshIndex = 0; refreshIndex < source.refreshes(site.name); refreshIndex++)
        kept(site.name, site.shape, refreshIndex);
    },
    reducedShape: ({ name, shape }, refreshIndex) => reduced(shape, kept(name, shape, refreshIndex)),
    basis: ({ name, shape }) => indexSpec(kept(name, shape, 0)),
    fit: (_g, _previous, { site, refreshIndex }) => ({
      indices: tensor1d(at(site.name, site.shape, refreshIndex), 'int32'),
    }),
    down: projector.down,
    up: projector.up,
  };
}

/** Checks indices and sorts them: other parts rely on ascending order. */
function ascending(parameter: string, given: readonly number[], count: number): Int32Array {
  const sorted = Int32Array.from(given).sort();
  const valid =
    given.every(index => Number.isInteger(index) && index >= 0 && index < count) &&
    sorted.every((index, i) => i === 0 || index !== sorted[i - 1]);
  if (valid) return sorted;
  throw new InvalidOptionError({
    parameter,
    found: given,
    expected: `different integers from 0 to ${count - 1}`,
  });
}
