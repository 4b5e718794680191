import { InvalidOptionError } from '@frugaljs/core';
import type { TrajectoryCase } from './trajectory-file.js';

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
