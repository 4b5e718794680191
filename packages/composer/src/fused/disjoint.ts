import type { BoundSubspace } from '../runtime/bound-subspace.js';
import { union } from '../runtime/union.js';

/**
 * True when no coordinate is in two of these nested splits, from the outside in. Of one that is, the split further in
 * sees a residual of 0, and takes a step on that; a pass that gives each entry to one tier cannot do so.
 */
export function areDisjoint(splits: readonly BoundSubspace[]): boolean {
  let taken: Int32Array = new Int32Array(0);
  for (const { choice, rule } of splits) {
    // Coordinates found on the device cannot be read everywhere.
    if (rule.projector.traits.basisFrom === 'gradient') return false;
    const own = choice.coordinatesOnHost();
    const all = union(taken, own);
    if (all.length < taken.length + own.length) return false;
    taken = all;
  }
  return true;
}
