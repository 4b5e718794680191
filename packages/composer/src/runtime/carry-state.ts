import type { Projector, Shape, Site } from '@frugaljs/core';
import { coordinatesOf } from './basis-tensors.js';
import { CoordinateAges } from './coordinate-ages.js';
import type { Carry, CoordinateMove } from './slot-state.js';
import type { Inside } from './subspace-choice.js';

/**
 * Carries the state of the rule inside a subspace to the next one, of the same size: by the projector's own transport,
 * else by lifting it up and projecting it down again.
 */
export function carryState(projector: Projector, site: Site, before: Inside, after: Inside): void {
  const [from, to] = [before.basis, after.basis];
  const carry: Carry = (x, degree) =>
    projector.transport?.(x, from, to, site, degree) ?? projector.down(projector.up(x, from, site), to, site);
  after.rule.transport(carry, projector.traits.coordinate ? moveBetween(site.shape, before, after) : null);
}

function moveBetween(full: Shape, before: Inside, after: Inside): CoordinateMove | null {
  const from = before.indices ?? coordinatesOf(before.basis);
  const to = after.indices ?? coordinatesOf(after.basis);
  if (from === null || to === null) return null;
  return { axis: CoordinateAges.axisOf(full, after.reduced, to.length), from, to };
}
