import { InvalidStateError, sameShape } from '@frugaljs/core';
import type { NamedShape } from './options.js';
import { PLACE, placeOf, type SavedEntry, type SavedPlace, type SavedStates } from './saved-state.js';

// Which loaded state belongs to which variable: names may have changed since it was saved.

/** State under a saved name that no variable has claimed yet. */
export interface UnclaimedState {
  /** There is more of it than a place in the order. */
  readonly isMoreThanPlace: boolean;
  /** The variable of this very name lives and can still come for it. */
  readonly isAwaited: boolean;
  /** It may be that of a variable of this shape. */
  fits(parameter: NamedShape): boolean;
}

/** Loaded state as {@link matchSavedNames} sees it. */
export function unclaimed(
  state: ReadonlyMap<string, SavedEntry>,
  isAwaited: boolean,
): UnclaimedState & { readonly place: SavedPlace | null } {
  const place = placeOf(state);
  const isMoreThanPlace = [...state.keys()].some(path => path !== PLACE);
  return {
    place,
    isMoreThanPlace,
    isAwaited,
    fits: parameter => mayBelong(state, parameter) && (place === null || sameShape(place.shape, parameter.shape)),
  };
}

/**
 * Finds, for variables in training, the names under which their state was saved. Loading a model beside a live one
 * renames its variables (`kernel` becomes `kernel_1`), so a name is looked for as it is; then without its number, where as
 * many names as variables are left that differ in nothing else, in the order of the numbers; and then, if as many names
 * are left as variables and all slots fit, by position. State that belongs to no variable may wait for one to come;
 * variables without state start afresh; but not both at once, unless the state is known to wait: a variable of its very
 * name lives. Once one was found under its own name, state that waits so is not matched otherwise.
 *
 * @param variables In the order in which they were made, so that no listing of gradients plays a part.
 * @param saved In the order in which the variables joined.
 * @param isSameNaming Some variable was found under its own name before.
 * @throws InvalidStateError when state and variables are left over that do not fit each other.
 */
export function matchSavedNames(
  variables: readonly NamedShape[],
  saved: ReadonlyMap<string, UnclaimedState>,
  isSameNaming = false,
): Map<string, string> {
  const matched = new Map(variables.filter(({ name }) => saved.has(name)).map(({ name }) => [name, name]));
  const keepsNames = isSameNaming || matched.size > 0;
  const left = (): { variables: NamedShape[]; names: string[] } => {
    const used = new Set(matched.values());
    const isLeft = (name: string): boolean => !used.has(name) && !(keepsNames && saved.get(name)!.isAwaited);
    return {
      variables: variables.filter(({ name }) => !matched.has(name)),
      names: [...saved.keys()].filter(isLeft),
    };
  };
  const byName = left();
  for (const stem of new Set(byName.variables.map(({ name }) => stemOf(name)))) {
    const candidates = byName.names.filter(candidate => stemOf(candidate) === stem).sort(byNumbers);
    const namesakes = byName.variables.filter(({ name }) => stemOf(name) === stem);
    if (candidates.length !== namesakes.length) continue;
    namesakes.sort((a, b) => byNumbers(a.name, b.name));
    // Numbers alone do not tell: of several, all must fit.
    if (candidates.length > 1 && !namesakes.every((each, i) => saved.get(candidates[i]!)!.fits(each))) continue;
    namesakes.forEach(({ name }, i) => {
      matched.set(name, candidates[i]!);
    });
  }
  const rest = left();
  // A place alone is no state that somebody would miss.
  const names = rest.names.filter(name => saved.get(name)!.isMoreThanPlace);
  if (rest.variables.length === 0 || names.length === 0) return matched;
  if (names.every(name => saved.get(name)!.isAwaited)) return matched;
  if (
    rest.variables.length === names.length &&
    rest.variables.every((variable, i) => saved.get(names[i]!)!.fits(variable))
  ) {
    rest.variables.forEach(({ name }, i) => {
      matched.set(name, names[i]!);
    });
    return matched;
  }
  throw new InvalidStateError({
    parameter: 'setWeights',
    found: `state of ${names.join(', ')}`,
    expected: `state of ${rest.variables.map(({ name }) => name).join(', ')}`,
    advice: 'Give the variables the names they had when the state was saved.',
  });
}

const NUMBER = /_(\d+)(?=$|\/)/g;

function stemOf(name: string): string {
  return name.replace(NUMBER, '');
}

/** Compares names of one stem by their numbers; none comes before any. */
function byNumbers(a: string, b: string): number {
  const [one, other] = [a, b].map(name => Array.from(name.matchAll(NUMBER), ([, digits]) => Number(digits)));
  const [x, y] = [one!, other!];
  for (let i = 0; i < Math.min(x.length, y.length); i++) if (x[i] !== y[i]) return x[i]! - y[i]!;
  return x.length - y.length;
}

/** A slot outside a subspace has the shape of its variable, one value per row or column, or one in all. */
function mayBelong(state: ReadonlyMap<string, SavedEntry>, { shape }: NamedShape): boolean {
  return [...state].every(([path, entry]) => {
    if (path.includes('/') || typeof entry === 'number' || entry instanceof Int32Array) return true;
    return sameShape(entry.shape, shape) || entry.rank === 0 || (entry.rank === 2 && entry.shape.includes(1));
  });
}

/** Which state belongs to which variable; none where they do not fit, which loading it will complain about. */
export function savedNamesOf(variables: readonly NamedShape[], states: SavedStates): ReadonlyMap<string, string> {
  try {
    return matchSavedNames(variables, new Map([...states].map(([name, state]) => [name, unclaimed(state, false)])));
  } catch {
    return new Map();
  }
}

/**
 * The members of groups in the order in which their state was saved, before places were: each list of gradients was the
 * order of its members then.
 *
 * @param sources The saved names of variables.
 * @param saved All saved names, in order.
 * @param groupOf The group of a variable; each keeps the positions that its members have among all.
 */
export function inSavedOrder<V extends NamedShape>(
  variables: readonly V[],
  sources: ReadonlyMap<string, string>,
  saved: readonly string[],
  groupOf: (variable: V) => unknown,
): readonly V[] {
  const ranks = new Map(saved.map((name, rank) => [name, rank]));
  const rankOf = ({ name }: V): number | undefined => ranks.get(sources.get(name) ?? '');
  const ranked = new Map<unknown, V[]>();
  for (const variable of variables) {
    if (rankOf(variable) === undefined) continue;
    const group = groupOf(variable);
    ranked.set(group, [...(ranked.get(group) ?? []), variable]);
  }
  for (const list of ranked.values()) list.sort((a, b) => rankOf(b)! - rankOf(a)!);
  return variables.map(variable => {
    return rankOf(variable) === undefined ? variable : ranked.get(groupOf(variable))!.pop()!;
  });
}
