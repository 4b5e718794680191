import { InvalidOptionError, type Json, NotSerializableError, requireInteger, requireKnownKeys } from '@frugaljs/core';
import { Variable } from '@tensorflow/tfjs-core';
import type { Match, MatchConditions, NamedShape } from './options.js';

type Pattern = string | RegExp;

const CONDITIONS: readonly (keyof MatchConditions)[] = ['name', 'not', 'minRank', 'maxRank'];

/** True when a group with this `match` takes the parameter. */
export function matches(match: Match | undefined, parameter: NamedShape): boolean {
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

/** The inverse of {@link matchToJson}. */
export function matchFromJson(json: Json): Match {
  if (typeof json === 'string' || Array.isArray(json) || isRegExpJson(json)) return patternsFromJson(json);
  requireKnownKeys('match', json as object, CONDITIONS);
  const { name, not, minRank, maxRank } = json as { name?: Json; not?: Json; minRank?: number; maxRank?: number };
  return {
    ...(name === undefined ? {} : { name: patternsFromJson(name) }),
    ...(not === undefined ? {} : { not: patternsFromJson(not) }),
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

function isRegExpJson(json: Json): json is { source: string; flags: string } {
  return typeof json === 'object' && json !== null && 'source' in json;
}

function patternsFromJson(json: Json): Pattern | Pattern[] {
  if (typeof json === 'string') return json;
  if (isRegExpJson(json)) return new RegExp(json.source, json.flags);
  if (Array.isArray(json)) return json.map(part => patternsFromJson(part) as Pattern);
  throw new InvalidOptionError({ parameter: 'match', found: json, expected: 'a name or { source, flags }' });
}
