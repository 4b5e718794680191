import {
  InvalidOptionError,
  type Site,
  type SiteMember,
  sizeOf,
  UnmatchedGroupError,
  UnsupportedShapeError,
} from '@frugaljs/core';
import { matches } from './matching.js';
import type { Group, NamedShape } from './options.js';

/** A parameter, the group that takes it, and where that puts it. */
export interface Assigned {
  readonly group: number;
  readonly site: Site;
}

/**
 * Assigns parameters to groups: the first group that matches takes a parameter. The members of a group keep the order in
 * which they first appeared.
 *
 * @param known Parameters assigned before; they keep their places.
 * @throws UnmatchedGroupError when a non-final, non-optional group matches nothing at the first assignment.
 * @throws InvalidOptionError when no group takes a parameter.
 * @throws UnsupportedShapeError when a parameter to be trained has no elements.
 */
export function assign(
  groups: readonly Group[],
  parameters: readonly NamedShape[],
  seed: number,
  known: ReadonlyMap<string, Assigned> = new Map(),
): Map<string, Assigned> {
  const members: SiteMember[][] = groups.map(() => []);
  const chosen = new Map<string, number>();
  const place = ({ name, shape }: NamedShape, group: number): void => {
    chosen.set(name, group);
    members[group]!.push({ name, shape });
  };
  for (const { group, site } of known.values()) place(site, group);
  for (const parameter of parameters) {
    if (chosen.has(parameter.name)) continue;
    const group = groups.findIndex(({ match }) => matches(match, parameter));
    if (group < 0) {
      throw new InvalidOptionError({
        parameter: `compose.groups: parameter "${parameter.name}"`,
        found: 'no group that matches it',
        expected: 'a group for every parameter',
        advice: 'Add a last group without a match, for example { use: adamW() } or { frozen: true }.',
      });
    }
    if (!groups[group]!.frozen && sizeOf(parameter.shape) === 0) {
      throw new UnsupportedShapeError({
        parameter: `parameter "${parameter.name}"`,
        found: `shape [${parameter.shape}] without elements`,
        expected: 'at least one element',
        advice: 'Freeze it with a group { match, frozen: true }.',
      });
    }
    place(parameter, group);
  }
  if (known.size === 0) requireMatches(groups, members, parameters);
  return new Map(
    members.flatMap((list, group) =>
      list.map(({ name, shape }, index) => {
        const site: Site = { name, shape, seed, path: '', members: list, index };
        return [name, { group, site }] as const;
      }),
    ),
  );
}

function requireMatches(
  groups: readonly Group[],
  members: readonly (readonly SiteMember[])[],
  parameters: readonly NamedShape[],
): void {
  groups.forEach(({ match, optional = false }, i) => {
    if (match === undefined || optional || members[i]!.length > 0) return;
    // The last group may be a catch-all with conditions.
    if (i === groups.length - 1 && groups.length > 1) return;
    throw new UnmatchedGroupError({
      parameter: `groups[${i}].match`,
      found: `${typeof match === 'function' ? 'a predicate' : match instanceof RegExp ? match : JSON.stringify(match)} that takes none of the parameters ${parameters.map(({ name }) => name).join(', ')}`,
      expected: 'a match that takes at least one parameter',
      advice: 'Mend the match, or set optional: true on the group.',
    });
  });
}
