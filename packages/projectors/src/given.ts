import { type Projector, requireKnownKeys, requireOneOf } from '@frugaljs/core';
import { givenCoordinates } from './given-coordinates.js';
import { type GivenFactors, type GivenMatrix, givenDense } from './given-dense.js';
import { type Given, GivenSource } from './given-source.js';

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
