// What a file says of the subspaces of a run: when they change by the official rules, and what they were.
import { InvalidOptionError, type Shape, sameShape } from '@frugaljs/core';
import {
  type RecordedSubspace,
  type RecordedTensor,
  type TrajectoryCase,
  TrajectoryFormatError,
} from './trajectory-file.js';

/** When the subspaces change, and what an update counter of our own would have to be for that. */
export interface RefreshClock {
  /** The refresh of every step; -1 before the first subspace. */
  readonly refreshOfStep: readonly number[];
  /** Per step, the number of updates before it that makes our optimizer refresh when the official code does. */
  readonly updatesBefore: readonly number[];
}

/**
 * FRUGAL's code refreshes all subspaces of a group when the step counter of its *first* parameter is a multiple of the
 * gap. Steps in which that parameter has no gradient do not count; while it waits at a multiple, every step refreshes.
 *
 * @param restarts Whether a refresh sets the counter to 0.
 * @param needsGradients Whether a refresh reads the gradients of all projectable parameters.
 * @throws InvalidOptionError where the official code would fail for the lack of a gradient.
 */
export function groupClock(
  { params, steps }: TrajectoryCase,
  gap: number,
  restarts: boolean,
  needsGradients: boolean,
): RefreshClock {
  const first = params.findIndex(({ projectable }) => projectable);
  const refreshOfStep: number[] = [];
  const updatesBefore: number[] = [];
  let refreshIndex = -1;
  let counter = 0;
  steps.forEach(({ grads }, k) => {
    if (counter % gap === 0) {
      refreshIndex += 1;
      if (restarts) counter = 0;
      const without = params.find(({ projectable }, i) => projectable && grads[i] === null);
      if (needsGradients && without !== undefined) {
        throw new InvalidOptionError({
          parameter: `steps[${k}].grads of "${without.name}"`,
          found: null,
          expected: 'a gradient, because the subspace is refreshed here and the official code then needs one',
        });
      }
    }
    refreshOfStep.push(refreshIndex);
    updatesBefore.push(refreshIndex * gap + (counter % gap));
    if (grads[first] !== null) counter += 1;
  });
  return { refreshOfStep, updatesBefore };
}

/** GaLore's code counts the steps of every parameter by itself, and so does an optimizer that trains nothing else. */
export function ownRefreshes({ steps }: TrajectoryCase, index: number, gap: number): readonly number[] {
  let [refreshIndex, counter] = [-1, 0];
  return steps.map(({ grads }) => {
    if (grads[index] !== null) {
      if (counter % gap === 0) refreshIndex += 1;
      counter += 1;
    }
    return refreshIndex;
  });
}

/** The factors of a recorded basis, each as a list of rows: left is m × r, right is n × r. */
export interface RecordedFactors {
  readonly left?: readonly (readonly number[])[];
  readonly right?: readonly (readonly number[])[];
}

/** The subspaces of one parameter that a file holds, by refresh. */
export class Recording {
  private readonly byRefresh: readonly RecordedSubspace[];

  /**
   * @param refreshOfStep The refresh that every step belongs to by the official rules.
   * @throws TrajectoryFormatError when the recorded subspace changes within a refresh.
   */
  constructor(
    { steps }: TrajectoryCase,
    index: number,
    private readonly name: string,
    private readonly refreshOfStep: readonly number[],
  ) {
    const byRefresh: RecordedSubspace[] = [];
    refreshOfStep.forEach((refreshIndex, k) => {
      if (refreshIndex < 0) return;
      const recorded = steps[k]!.subspace[index]!;
      if (byRefresh.length <= refreshIndex) byRefresh[refreshIndex] = recorded;
      else if (JSON.stringify(recorded) !== JSON.stringify(byRefresh[refreshIndex])) {
        throw new TrajectoryFormatError(
          `steps[${k}].subspace of "${name}"`,
          `the subspace of step ${refreshOfStep.indexOf(refreshIndex)}, because there is no refresh between the two`,
          recorded,
        );
      }
    });
    this.byRefresh = byRefresh;
  }

  get refreshes(): number {
    return this.byRefresh.length;
  }

  /** The recorded flags of a block; `null` where none is on record. */
  activeAt(refreshIndex: number): boolean | null {
    const recorded = this.at(refreshIndex);
    if (recorded === null) return null;
    return 'active' in recorded ? recorded.active : this.refuse(refreshIndex, '{ active }');
  }

  indicesAt(refreshIndex: number, count: number): readonly number[] {
    const recorded = this.at(refreshIndex);
    if (recorded === null || !('indices' in recorded)) return this.refuse(refreshIndex, '{ indices }');
    if (recorded.indices.length === count) return recorded.indices;
    return this.refuse(refreshIndex, `${count} indices, which is what the density makes of this parameter`);
  }

  /** @param shapes Shapes of the recorded matrices: of the left one, the right one, or both. */
  factorsAt(refreshIndex: number, side: 'left' | 'right' | 'full', shapes: readonly Shape[]): RecordedFactors {
    const recorded = this.at(refreshIndex);
    if (recorded === null || !('basis' in recorded)) return this.refuse(refreshIndex, '{ basis }');
    const { basis } = recorded;
    if (basis.length !== shapes.length || !basis.every(({ shape }, i) => sameShape(shape, shapes[i]!))) {
      return this.refuse(refreshIndex, `matrices of shape ${shapes.map(shape => `[${shape}]`).join(' and ')}`);
    }
    return {
      ...(side === 'right' ? {} : { left: rowsOf(basis[0]!) }),
      ...(side === 'left' ? {} : { right: columnsOf(basis.at(-1)!) }),
    };
  }

  private at(refreshIndex: number): RecordedSubspace {
    return this.byRefresh[refreshIndex] ?? null;
  }

  private refuse(refreshIndex: number, expected: string): never {
    const where = `steps[${this.refreshOfStep.indexOf(refreshIndex)}].subspace of "${this.name}"`;
    throw new TrajectoryFormatError(where, expected, this.at(refreshIndex));
  }
}

/**
 * For classes that have no subspaces.
 *
 * @throws TrajectoryFormatError when one is on record all the same.
 */
export function requireNoSubspaces({ official, steps }: TrajectoryCase): void {
  for (const [k, { subspace }] of steps.entries()) {
    const recorded = subspace.find(entry => entry !== null);
    if (recorded === undefined) continue;
    throw new TrajectoryFormatError(
      `steps[${k}].subspace`,
      `null, because this ${official} does not project`,
      recorded,
    );
  }
}

function rowsOf({ shape, data }: RecordedTensor): number[][] {
  const [rows, columns] = [shape[0]!, shape[1]!];
  return Array.from({ length: rows }, (_, i) => data.slice(i * columns, (i + 1) * columns));
}

function columnsOf({ shape, data }: RecordedTensor): number[][] {
  const [rows, columns] = [shape[0]!, shape[1]!];
  return Array.from({ length: columns }, (_, j) => Array.from({ length: rows }, (_, i) => data[i * columns + j]!));
}
