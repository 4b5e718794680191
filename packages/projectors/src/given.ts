import {
  InvalidOptionError,
  type Json,
  matrixView,
  NotSerializableError,
  type Projector,
  requireKnownKeys,
  requireOneOf,
  type Shape,
  ShapeMismatchError,
  sizeOf,
  UnknownNameError,
} from '@frugaljs/core';
import { tensor1d, tensor2d } from '@tensorflow/tfjs-core';
import { columns } from './columns.js';
import { indexSpec } from './coordinates.js';
import {
  type DenseBasisName,
  type DenseSizes,
  denseBasis,
  denseDown,
  denseSpec,
  denseTransport,
  denseUp,
  denseUpRows,
  keptAxis,
} from './dense.js';
import { randK } from './rand-k.js';
import { requireMatrix } from './requirements.js';
import { rows } from './rows.js';

/**
 * What is given, by parameter and refresh: a table with one entry per refresh (the last one serves all later refreshes), or a
 * function. A table travels in JSON; a function does not.
 */
export type Given<T> =
  | { readonly [parameter: string]: readonly T[] }
  | ((parameter: string, refreshIndex: number) => T);

/** A matrix as the list of its rows. */
export type GivenMatrix = readonly (readonly number[])[];

export type GivenOptions =
  | {
      /** Which coordinates the indices name. */
      readonly kind: 'rows' | 'columns' | 'randK';
      /** Per parameter and refresh: different indices, in any order. */
      readonly indices: Given<readonly number[]>;
    }
  | {
      /** From which side the basis multiplies. */
      readonly kind: 'right' | 'left';
      /** Per parameter and refresh: a matrix with orthonormal columns (n × r on the right, m × r on the left), as rows. */
      readonly basis: Given<GivenMatrix>;
    }
  | {
      readonly kind: 'full';
      /** Per parameter and refresh: both matrices, of the same rank. */
      readonly basis: Given<{ readonly left: GivenMatrix; readonly right: GivenMatrix }>;
    };

/**
 * A subspace that is given and not chosen: indices as for `rows`, `columns` or `randK`, or an orthonormal basis as for
 * `svd` and `random`. For replaying a recorded run, for a subspace of your own making, and for tests.
 *
 * A table `{ parameter: [entry of refresh 0, entry of refresh 1, …] }` is part of the JSON options; its last entry serves all
 * later refreshes. A function `(parameter, refresh) => entry` must be pure, is not saved, and leaves a mark in the options
 * that loading them refuses. All refreshes of a parameter need the same number of indices or the same rank.
 *
 * Basis: int32 indices (sorted upwards), or the float32 factors. Neither is saved: both follow from the options.
 *
 * @throws InvalidOptionError for an unknown option, for indices that repeat or lie outside the parameter, for columns
 *   that are not orthonormal to 1e-4, and when the size changes between refreshes.
 * @throws ShapeMismatchError for factors that do not fit the parameter.
 * @throws UnknownNameError for a parameter that the table does not have.
 * @throws NotSerializableError for saved options of a function.
 */
export function given(options: GivenOptions): Projector {
  requireKnownKeys('given', options, ['kind', 'indices', 'basis']);
  const kind = requireOneOf('given.kind', options.kind, ['rows', 'columns', 'randK', 'right', 'left', 'full']);
  if (kind === 'rows' || kind === 'columns' || kind === 'randK') {
    requireKnownKeys('given', options, ['kind', 'indices']);
    const { indices } = options as { indices: Given<readonly number[]> };
    const source = new GivenSource('given.indices', indices);
    return { kind: 'given', options: { kind, indices: source.toJson() }, ...givenCoordinates(kind, source) };
  }
  requireKnownKeys('given', options, ['kind', 'basis']);
  const { basis } = options as { basis: Given<GivenFactors> };
  const source = new GivenSource('given.basis', basis);
  return { kind: 'given', options: { kind, basis: source.toJson() }, ...givenDense(kind, source) };
}

type CoordinateKind = 'rows' | 'columns' | 'randK';

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
function givenCoordinates(kind: CoordinateKind, source: GivenSource<readonly number[]>): CoordinateMethods {
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

type DenseKind = 'right' | 'left' | 'full';

/** One matrix for a single side, both for `full`. */
type GivenFactors = GivenMatrix | { readonly left: GivenMatrix; readonly right: GivenMatrix };

type DenseMethods = Omit<Projector<DenseBasisName>, 'kind' | 'options'>;

/** Largest entry of |QᵀQ - I| that passes for float32 rounding. */
const TOLERANCE = 1e-4;

/** The methods of a projector onto a given dense subspace. */
function givenDense(kind: DenseKind, source: GivenSource<GivenFactors>): DenseMethods {
  const factorsAt = (name: string, refreshIndex: number): { left?: GivenMatrix; right?: GivenMatrix } => {
    const given = source.at(name, refreshIndex);
    if (kind === 'full') return given as { left: GivenMatrix; right: GivenMatrix };
    return { [kind]: given as GivenMatrix };
  };
  const sizesAt = (name: string, shape: Shape, refreshIndex: number): DenseSizes => {
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
  const requireSameRank = (name: string, shape: Shape, refreshIndex: number): DenseSizes => {
    const [first, now] = [sizesAt(name, shape, 0), sizesAt(name, shape, refreshIndex)];
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
    keeps: site => keptAxis('given', site, kind),
    basis: ({ name, shape }) => denseSpec(sizesAt(name, shape, 0)),
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
    transport: denseTransport,
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

/** Stands in the JSON options for what JSON cannot hold. */
const FUNCTION = 'function';

/** Reads what was given. */
class GivenSource<T> {
  constructor(
    private readonly option: string,
    private readonly given: Given<T>,
  ) {
    if ((given as unknown) === FUNCTION) {
      throw new NotSerializableError({
        parameter: option,
        found: 'the trace of a function in saved options',
        expected: 'a table, parameter → one entry per refresh',
        advice: 'Functions cannot be saved: give a table, or build the composition in code.',
      });
    }
    if (typeof given === 'function') return;
    if (typeof given !== 'object' || given === null || !Object.values(given).every(isNonEmptyList)) {
      throw new InvalidOptionError({
        parameter: option,
        found: given,
        expected:
          'a table { parameter: [one entry per refresh, at least one] }, or a function (parameter, refresh) => entry',
      });
    }
  }

  at(parameter: string, refreshIndex: number): T {
    if (typeof this.given === 'function') return this.given(parameter, refreshIndex);
    const entries = this.entriesOf(parameter);
    return entries[Math.min(refreshIndex, entries.length - 1)]!;
  }

  /** Number of different refreshes that can be checked in advance: the length of the table, or 1. */
  refreshes(parameter: string): number {
    return typeof this.given === 'function' ? 1 : this.entriesOf(parameter).length;
  }

  toJson(): Json {
    return typeof this.given === 'function' ? FUNCTION : (this.given as unknown as Json);
  }

  private entriesOf(parameter: string): readonly T[] {
    const table = this.given as { readonly [parameter: string]: readonly T[] };
    if (Object.hasOwn(table, parameter)) return table[parameter]!;
    throw new UnknownNameError({
      parameter: this.option,
      found: parameter,
      expected: `one of the parameters in the table: ${Object.keys(table).join(', ')}`,
      advice: 'Add the parameter to the table, or match it with another group.',
    });
  }
}

function isNonEmptyList(entry: unknown): boolean {
  return Array.isArray(entry) && entry.length > 0;
}
