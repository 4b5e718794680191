import {
  callAdvice,
  InvalidOptionError,
  type Json,
  NotSerializableError,
  requireInteger,
  requireKnownKeys,
  requireOptions,
  type Site,
  type SiteMember,
  sizeOf,
  UnmatchedGroupError,
  UnsupportedShapeError,
} from '@frugaljs/core';
import { Variable } from '@tensorflow/tfjs-core';
import { GROUP_OPTIONS, type Group, type Match, type MatchConditions, type NamedShape } from './options.js';

/** Checks the groups of a composition as far as that goes without parameters. */
export function requireGroups(groups: readonly Group[]): void {
  if (!Array.isArray(groups) || groups.length === 0) {
    throw new InvalidOptionError({
      parameter: 'compose.groups',
      found: groups,
      expected: 'at least one group, such as { use: adamW() }',
    });
  }
  (groups as readonly Group[]).forEach((group, i) => {
    requireOptions(`groups[${i}]`, group, GROUP_OPTIONS);
    if (group.match !== undefined) requireMatch(`groups[${i}].match`, group.match);
    else if (i < groups.length - 1) {
      throw new InvalidOptionError({
        parameter: `groups[${i}].match`,
        found: undefined,
        expected: 'a match, since groups follow that would never be reached',
        advice: 'Put the group without a match last.',
      });
    }
    if (group.frozen ? group.use === undefined : group.use?.type !== undefined) return;
    throw new InvalidOptionError({
      parameter: `groups[${i}].use`,
      found: group.use,
      expected: group.frozen ? 'no rule in a frozen group' : 'a rule such as adamW(), or frozen: true',
      ...(typeof group.use === 'function' ? { advice: callAdvice(group.use) } : {}),
    });
  });
}

export type Pattern = string | RegExp;

export const CONDITIONS: readonly (keyof MatchConditions)[] = ['name', 'not', 'minRank', 'maxRank'];

/** True when a group with this `match` takes the parameter. */
function matches(match: Match | undefined, parameter: NamedShape): boolean {
  if (match === undefined) return true;
  if (typeof match === 'function') return match(parameter);
  if (isConditions(match)) {
    const { name, not, minRank = 0, maxRank = Number.POSITIVE_INFINITY } = match;
    const rank = parameter.shape.length;
    return (
      (name === undefined || matchesName(name, parameter.name)) &&
      (not === undefined || !matchesName(not, parameter.name)) &&
      rank >= minRank &&
      rank <= maxRank
    );
  }
  return matchesName(match, parameter.name);
}

/** Checks that a match is one, so that a misspelled condition does not take everything. */
function requireMatch(parameter: string, match: Match): void {
  if (typeof match === 'function' || isPatterns(match)) return;
  if (typeof match !== 'object' || match === null || Array.isArray(match) || match instanceof Variable) {
    throw new InvalidOptionError({
      parameter,
      found: match,
      expected: 'a name, a regular expression, a list of these, a predicate or { name, not, minRank, maxRank }',
      ...(match instanceof Variable ? { advice: 'Match by the name of the variable.' } : {}),
    });
  }
  const conditions = match as MatchConditions;
  requireKnownKeys(parameter, conditions, CONDITIONS);
  for (const key of ['name', 'not'] as const) {
    const patterns: unknown = conditions[key];
    if (patterns === undefined || isPatterns(patterns)) continue;
    throw new InvalidOptionError({
      parameter: `${parameter}.${key}`,
      found: patterns,
      expected: 'a name, a regular expression or a list of these',
    });
  }
  for (const key of ['minRank', 'maxRank'] as const) {
    const rank = conditions[key];
    if (rank !== undefined && rank !== Number.POSITIVE_INFINITY) requireInteger(`${parameter}.${key}`, rank, 0);
  }
}

function isPatterns(patterns: unknown): patterns is Pattern | readonly Pattern[] {
  return [patterns].flat().every(pattern => typeof pattern === 'string' || pattern instanceof RegExp);
}

/** The match as JSON. Throws for a predicate. */
export function matchToJson(match: Match, group: number): Json {
  if (typeof match === 'function') {
    throw new NotSerializableError({
      parameter: `groups[${group}].match`,
      found: 'a function',
      expected: 'a name, a regular expression or conditions, which JSON can carry',
      advice: 'Write the predicate as { name, not, minRank, maxRank }.',
    });
  }
  if (!isConditions(match)) return patternsToJson(match);
  const { name, not, minRank, maxRank } = match;
  return {
    ...(name === undefined ? {} : { name: patternsToJson(name) }),
    ...(not === undefined ? {} : { not: patternsToJson(not) }),
    ...(minRank === undefined ? {} : { minRank }),
    ...(maxRank === undefined ? {} : { maxRank }),
  };
}

function matchesName(patterns: Pattern | readonly Pattern[], name: string): boolean {
  return [patterns]
    .flat()
    .some(pattern => (typeof pattern === 'string' ? pattern === name : name.search(pattern) >= 0));
}

function isConditions(match: Exclude<Match, (...args: never) => unknown>): match is MatchConditions {
  return typeof match === 'object' && !Array.isArray(match) && !(match instanceof RegExp);
}

function patternsToJson(patterns: Pattern | readonly Pattern[]): Json {
  if (typeof patterns === 'string') return patterns;
  if (patterns instanceof RegExp) return { source: patterns.source, flags: patterns.flags };
  return patterns.map(patternsToJson);
}

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
