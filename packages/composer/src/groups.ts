import {
  didYouMean,
  InvalidOptionError,
  type Json,
  NotSerializableError,
  requireInteger,
  requireKnownKeys,
  requireOptions,
  requireRule,
  ShapeMismatchError,
  type Site,
  type SiteMember,
  sizeOf,
  UnmatchedGroupError,
  UnsupportedShapeError,
} from '@frugaljs/core';
import { engine, Variable } from '@tensorflow/tfjs-core';
import { leavesToNext } from './empty-subspace.js';
import { GROUP_OPTIONS, type Group, type Match, type MatchConditions, type NamedShape } from './options.js';

/** What the match of a group is called where it is an option of a recipe, which made the group. */
const matchNames = new WeakMap<Group, string>();

/** The group that a recipe makes of an option, such as `frugal.fullRank`: errors about its match name the option. */
export function groupMatching(option: string, match: Match, group: Group): Group {
  const made = { ...group, match };
  matchNames.set(made, option);
  return made;
}

/** A copy whose match is called as it was. */
export function copyOfGroup(group: Group): Group {
  const copy = { ...group };
  const option = matchNames.get(group);
  if (option !== undefined) matchNames.set(copy, option);
  return copy;
}

/** What the user calls the match of a group. */
export function matchName(group: Group, i: number): string {
  return matchNames.get(group) ?? `groups[${i}].match`;
}

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
    if (group.match !== undefined) requireMatch(matchName(group, i), group.match);
    else if (i < groups.length - 1) {
      throw new InvalidOptionError({
        parameter: `groups[${i}].match`,
        found: undefined,
        expected: 'a match, since groups follow that would never be reached',
        advice: 'Put the group without a match last.',
      });
    }
    if (!group.frozen) requireRule(`groups[${i}].use`, group.use, 'adamW(), or frozen: true');
    else if (group.use !== undefined) {
      const expected = 'no rule in a frozen group';
      throw new InvalidOptionError({ parameter: `groups[${i}].use`, found: group.use, expected });
    }
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
export function requireMatch(parameter: string, match: Match): void {
  if (typeof match === 'function' || isPatterns(match)) return;
  const part = [match]
    .flat()
    .map(partOfModel)
    .find(each => each !== null);
  if (part !== undefined || typeof match !== 'object' || match === null || Array.isArray(match)) {
    throw new InvalidOptionError({
      parameter,
      found: part ?? match,
      expected: 'a name, a regular expression, a list of these, a predicate or { name, not, minRank, maxRank }',
      ...(part === undefined ? {} : { advice: MATCH_BY_NAME }),
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

const MATCH_BY_NAME = 'Match by the name of the variable: for a layer, layer.weights.map(({ name }) => name).';

/** What somebody passes in the place of its name; null for all else. */
function partOfModel(thing: unknown): string | null {
  if (thing instanceof Variable) return `the variable "${thing.name}"`;
  if (typeof thing !== 'object' || thing === null) return null;
  const { name, weights, read } = thing as { readonly [member: string]: unknown };
  if (Array.isArray(weights)) return `the layer "${String(name)}"`;
  return typeof read === 'function' ? `the weight "${String(name)}"` : null;
}

function isPatterns(patterns: unknown): patterns is Pattern | readonly Pattern[] {
  return [patterns].flat().every(pattern => typeof pattern === 'string' || pattern instanceof RegExp);
}

/** The match as JSON. Throws for a predicate. */
export function matchToJson(parameter: string, match: Match): Json {
  if (typeof match === 'function') {
    throw new NotSerializableError({
      parameter,
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
  /** Why an earlier group, which matches, has left it to this one. */
  readonly note?: string;
}

/** A variable that another optimizer trains now, for which nothing is kept any more. */
export interface TakenVariable {
  readonly variable: Variable;
  /** What the other optimizer is called. */
  readonly by: string;
}

/** The first group that matches a parameter; undefined when none does. */
export function groupOf(groups: readonly Group[], parameter: NamedShape): Group | undefined {
  return groups.find(({ match }) => matches(match, parameter));
}

/**
 * Assigns parameters to groups: the first group that matches takes a parameter, but one that `leaves` leaves those of which
 * its subspace has nothing to the next that matches and trains. The members of a group keep the order in which they joined:
 * those assigned before, then the new ones as they are listed.
 *
 * @param known Parameters assigned before; they keep their places.
 * @param seedName The name that the seeds of a parameter follow, where it is another than its own.
 * @param isFirst Whether every group must have got its parameters now.
 * @throws UnmatchedGroupError when a non-final, non-optional group matches neither a parameter nor any variable that exists:
 *   other groups wait for theirs, see {@link warnOfUnmatched}.
 * @throws InvalidOptionError when no group takes a parameter.
 * @throws UnsupportedShapeError when a parameter to be trained has no elements.
 */
export function assign(
  groups: readonly Group[],
  parameters: readonly NamedShape[],
  seed: number,
  known: ReadonlyMap<string, Assigned> = new Map(),
  seedName: (name: string) => string = name => name,
  isFirst: boolean = known.size === 0,
): Map<string, Assigned> {
  const places = [...known].map(([name, { group, site, note }]): Place => {
    return { parameter: { name, shape: site.shape }, group, note };
  });
  const taken = new Set(known.keys());
  for (const parameter of parameters) {
    if (taken.has(parameter.name)) continue;
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
    taken.add(parameter.name);
    places.push({ parameter, group });
  }
  leaveToNext(groups, places, seed, known.size);
  const members: readonly SiteMember[][] = membersOf(groups, places);
  if (isFirst && parameters.length > 0) requireMatches(groups, members, parameters);
  const notes = new Map(places.map(({ parameter, note }) => [parameter.name, note]));
  return new Map(
    members.flatMap((list, group) => {
      const seen = list.map(({ name, shape }) => ({ name: seedName(name), shape }));
      return list.map(({ name }, index) => {
        const note = notes.get(name);
        return [name, { group, site: siteOf(seen, index, seed), ...(note === undefined ? {} : { note }) }] as const;
      });
    }),
  );
}

/** A parameter on its way to a group. */
interface Place {
  readonly parameter: NamedShape;
  group: number;
  note?: string | undefined;
}

function membersOf(groups: readonly Group[], places: readonly Place[]): SiteMember[][] {
  const members: SiteMember[][] = groups.map(() => []);
  for (const { parameter, group } of places) members[group]!.push({ name: parameter.name, shape: parameter.shape });
  return members;
}

function siteOf(members: readonly SiteMember[], index: number, seed: number): Site {
  return { ...members[index]!, seed, path: '', members, index };
}

/**
 * Moves parameters on from groups that leave them, whose subspace has nothing of them.
 *
 * @param known Places at the beginning that are settled.
 * @throws InvalidOptionError of a projector whose options suit none of the parameters of its group.
 */
function leaveToNext(groups: readonly Group[], places: readonly Place[], seed: number, known: number): void {
  const settled = new Set(places.slice(0, known));
  groups.forEach((group, i) => {
    const { use, optional = false, leaves = optional } = group;
    if (use === undefined || !leaves) return;
    const inGroup = places.filter(place => place.group === i);
    const members = membersOf(groups, places)[i]!;
    const unsuited: Error[] = [];
    inGroup.forEach((place, index) => {
      if (settled.has(place)) return;
      const reason = leavesToNext(use, siteOf(members, index, seed));
      if (reason === null) return;
      if (reason.error instanceof InvalidOptionError) unsuited.push(reason.error);
      const next = groups.findIndex(({ match, frozen }, at) => at > i && !frozen && matches(match, place.parameter));
      if (next >= 0) Object.assign(place, { group: next, note: reason.note });
    });
    if (unsuited.length > 0 && unsuited.length === inGroup.length) throw unsuited[0]!;
  });
}

/** Of the groups that must match something, those that have not yet. */
function unmatched(groups: readonly Group[], isMatched: (group: number) => boolean): number[] {
  return groups.flatMap(({ match, optional = false }, i) => {
    if (match === undefined || optional || isMatched(i)) return [];
    // The last group may be a catch-all with conditions.
    return i === groups.length - 1 && groups.length > 1 ? [] : [i];
  });
}

/**
 * A match that takes no variable at all is misspelled; one whose variables have no gradient yet, as those of the other
 * network of a GAN or of a layer still to be unfrozen, is not.
 */
function requireMatches(
  groups: readonly Group[],
  members: readonly (readonly SiteMember[])[],
  parameters: readonly NamedShape[],
): void {
  const others = Object.values(engine().registeredVariables);
  for (const i of unmatched(groups, group => members[group]!.length > 0)) {
    if (others.some(variable => groupIndexOf(groups, variable) === i)) continue;
    const found = `${shownMatch(groups[i]!.match!)} that takes none of the parameters ${namesOf(parameters)}`;
    const more = others.some(({ name }) => !parameters.some(parameter => parameter.name === name));
    throw new UnmatchedGroupError({
      parameter: matchName(groups[i]!, i),
      found: `${found}${more ? ', nor any other variable' : ''}`,
      expected: 'a match that takes at least one parameter',
      advice:
        forestalled(groups, i, [...parameters, ...others]) ??
        `${nearest(groups[i]!.match!, [...parameters, ...others])}${mend(groups[i]!, 'Mend the match, or set optional: true on the group.')}`,
    });
  }
}

/** What to do where a match is right, but an earlier group has what it means; null where it means nothing. */
function forestalled(groups: readonly Group[], i: number, parameters: readonly NamedShape[]): string | null {
  const meant = parameters.find(parameter => groupIndexOf([groups[i]!], parameter) === 0);
  if (meant === undefined) return null;
  const first = groupIndexOf(groups, meant);
  const option = matchNames.get(groups[first]!);
  return option === undefined
    ? `groups[${first}] matches ${meant.name} and comes first: put groups[${i}] before it.`
    : `${option} matches ${meant.name} and comes first: leave it out of one of the two.`;
}

/** What to do about a match that takes nothing: nobody but the recipe can change the group that it has made. */
function mend(group: Group, advice: string): string {
  const option = matchNames.get(group);
  return option === undefined ? advice : `Mend ${option}, or leave it out.`;
}

/**
 * Warns of groups that have matched nothing in a number of updates, although there are variables for them: these may be
 * trained later, or be those of another model.
 */
export function warnOfUnmatched(
  groups: readonly Group[],
  assigned: ReadonlyMap<string, Assigned>,
  updates: number,
): void {
  const matched = new Set([...assigned.values()].map(({ group }) => group));
  for (const i of unmatched(groups, group => matched.has(group))) {
    const { match } = groups[i]!;
    const trained = [...assigned.values()].map(({ site }) => site);
    console.warn(
      `frugal.js: ${matchName(groups[i]!, i)}: ${shownMatch(match!)} has taken no parameter in ${updates} updates, of ` +
        `${namesOf(trained)}. ${nearest(match!, trained)}${mend(groups[i]!, 'Set optional: true on the group if that is right.')}`,
    );
  }
}

/** The group that would take a variable; -1 for none, and where a predicate fails on a variable that it does not know. */
function groupIndexOf(groups: readonly Group[], variable: NamedShape): number {
  try {
    return groups.findIndex(({ match }) => matches(match, variable));
  } catch {
    return -1;
  }
}

function shownMatch(match: Match): string {
  if (typeof match === 'function') return 'a predicate';
  return match instanceof RegExp ? String(match) : JSON.stringify(patternsShown(match));
}

/** Regular expressions are {} in JSON. */
function patternsShown(value: unknown): unknown {
  if (value instanceof RegExp) return String(value);
  if (Array.isArray(value)) return value.map(patternsShown);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, patternsShown(each)]));
}

/** The advice to look at the names that are most like those of a match; empty where none is. */
function nearest(match: Match, parameters: readonly NamedShape[]): string {
  if (typeof match === 'function') return '';
  const patterns = [isConditions(match) ? (match.name ?? []) : match].flat();
  const names = parameters.map(({ name }) => name);
  const words = [...new Set(names.flatMap(name => [name, ...name.split(/[./_]/)]))];
  for (const pattern of patterns) {
    const isName = typeof pattern === 'string';
    const whole = isName ? names.find(name => name.split(/[./]/).includes(pattern)) : undefined;
    if (whole !== undefined)
      return `A string is a whole name, such as ${whole}; a regular expression takes a part of one. `;
    const sought = isName ? pattern : pattern.source.replace(/[^\w/.]/g, '');
    const advice = ((isName ? didYouMean(sought, names) : null) ?? didYouMean(sought, words))?.advice;
    if (advice !== undefined) return `${advice} `;
  }
  return '';
}

/** Enough of the names to see how they are made. */
function namesOf(parameters: readonly { readonly name: string }[]): string {
  const names = parameters.map(({ name }) => name);
  return names.length <= 8 ? names.join(', ') : `${names.slice(0, 7).join(', ')} and ${names.length - 7} others`;
}

/** A variable may be made anew under its name and goes on with the state of the old one, if that still fits. */
export function changedShape({ name, shape }: Variable, { site }: Assigned): ShapeMismatchError {
  return new ShapeMismatchError({
    parameter: `variable "${name}"`,
    found: `shape [${shape}]`,
    expected: `shape [${site.shape}], which the variable of this name had in earlier updates`,
    advice: 'Give the variable another name, or compose a new optimizer.',
  });
}
