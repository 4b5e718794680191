import { InvalidOptionError, type Projector, type Shape, ShapeMismatchError } from '@frugaljs/core';
import { tensor2d } from '@tensorflow/tfjs-core';
import {
  type DenseBasisName,
  denseBasis,
  denseDown,
  denseSpec,
  denseTransport,
  denseUp,
  denseUpRows,
} from './dense.js';
import type { GivenSource } from './given-source.js';
import type { DensePlan } from './sides.js';
import { requireMatrix } from './site-requirements.js';

export type DenseKind = 'right' | 'left' | 'full';

/** A matrix as the list of its rows. */
export type GivenMatrix = readonly (readonly number[])[];

/** One matrix for a single side, both for `full`. */
export type GivenFactors = GivenMatrix | { readonly left: GivenMatrix; readonly right: GivenMatrix };

type DenseMethods = Omit<Projector<DenseBasisName>, 'kind' | 'options'>;

/** Largest entry of |QᵀQ - I| that passes for float32 rounding. */
const TOLERANCE = 1e-4;

/** The methods of a projector onto a given dense subspace. */
export function givenDense(kind: DenseKind, source: GivenSource<GivenFactors>): DenseMethods {
  const factorsAt = (name: string, refreshIndex: number): { left?: GivenMatrix; right?: GivenMatrix } => {
    const given = source.at(name, refreshIndex);
    if (kind === 'full') return given as { left: GivenMatrix; right: GivenMatrix };
    return { [kind]: given as GivenMatrix };
  };
  const planAt = (name: string, shape: Shape, refreshIndex: number): DensePlan => {
    const [m, n] = requireMatrix('given', name, shape);
    const { left, right } = factorsAt(name, refreshIndex);
    const where = `given.basis["${name}"][${refreshIndex}]`;
    const rank = requireFactor(where, left, m) ?? requireFactor(where, right, n)!;
    if (right !== undefined) requireFactor(where, right, n, rank);
    return {
      rank,
      ...(left === undefined ? {} : { left: m }),
      ...(right === undefined ? {} : { right: n }),
      reducedShape: [left === undefined ? m : rank, right === undefined ? n : rank],
    };
  };
  const requireSameRank = (name: string, shape: Shape, refreshIndex: number): DensePlan => {
    const [first, now] = [planAt(name, shape, 0), planAt(name, shape, refreshIndex)];
    if (first.rank === now.rank) return now;
    throw new InvalidOptionError({
      parameter: `given.basis["${name}"][${refreshIndex}]`,
      found: `rank ${now.rank}`,
      expected: `rank ${first.rank} as in refresh 0, because state keeps its shape`,
    });
  };
  return {
    traits: { orthonormal: true, coordinate: false, basisFrom: 'seed' },
    check: ({ name, shape }) => {
      for (let refreshIndex = 0; refreshIndex < source.refreshes(name); refreshIndex++) {
        requireSameRank(name, shape, refreshIndex);
        for (const factor of Object.values(factorsAt(name, refreshIndex)))
          requireOrthonormal(name, refreshIndex, factor);
      }
    },
    reducedShape: ({ name, shape }, refreshIndex) => requireSameRank(name, shape, refreshIndex).reducedShape,
    basis: ({ name, shape }) => denseSpec(planAt(name, shape, 0)),
    fit: (_g, _previous, { site, refreshIndex }) => {
      const factors = Object.entries(factorsAt(site.name, refreshIndex)).map(([side, matrix]) => {
        requireOrthonormal(site.name, refreshIndex, matrix);
        return [side, tensor2d(matrix.map(row => Array.from(row)))];
      });
      return denseBasis(Object.fromEntries(factors));
    },
    down: denseDown,
    up: denseUp,
    upRows: denseUpRows,
    transport: (x, from, to, _site, degree) => denseTransport(x, from, to, degree),
  };
}

/** The rank of a factor with the given number of rows; undefined when there is none. */
function requireFactor(
  where: string,
  factor: GivenMatrix | undefined,
  rows: number,
  rank?: number,
): number | undefined {
  if (factor === undefined) return undefined;
  const columns = rank ?? factor[0]?.length ?? 0;
  if (factor.length === rows && columns <= rows && factor.every(row => row.length === columns)) return columns;
  throw new ShapeMismatchError({
    parameter: where,
    found: `${factor.length} rows of ${[...new Set(factor.map(row => row.length))].join(', ')} numbers`,
    expected: `${rows} rows of ${rank ?? `the same number, at most ${rows},`} numbers`,
    advice: 'A right factor has a row per column of the parameter, a left factor a row per row.',
  });
}

function requireOrthonormal(name: string, refreshIndex: number, factor: GivenMatrix): void {
  const rank = factor[0]?.length ?? 0;
  for (let a = 0; a < rank; a++) {
    for (let b = 0; b <= a; b++) {
      const product = factor.reduce((sum, row) => sum + row[a]! * row[b]!, 0);
      if (Math.abs(product - (a === b ? 1 : 0)) <= TOLERANCE) continue;
      throw new InvalidOptionError({
        parameter: `given.basis["${name}"][${refreshIndex}]`,
        found: `columns ${b} and ${a} with inner product ${product}`,
        expected: 'orthonormal columns',
      });
    }
  }
}
