import type { SavedComposition } from './manifest.js';

/** Between the name of a variable and the path of its state. */
const SEPARATOR = '::';

/** The part of saved optimizer state that may go into an optimizer of another composition. */
export interface FittingState {
  /** Names of the tensors to load. */
  readonly entries: ReadonlySet<string>;
  /** Variables whose state is kept. */
  readonly kept: readonly string[];
  /** Variables whose state is left out, and why. */
  readonly dropped: readonly { readonly variable: string; readonly reason: string }[];
}

/**
 * Picks the state that fits: a variable keeps its state if the same rule trains it and it has the same shape. State in a
 * subspace (it has an `epoch`) depends also on the seed and, block by block, on the variables beside it.
 *
 * @param names Tensors of the saved state, `variable::path`.
 * @param changed Variables of another shape, or in one of the two models only.
 * @param seedChanged Whether the two compositions draw from different seeds.
 */
export function fittingState(
  names: readonly string[],
  saved: Pick<SavedComposition, 'rules'>,
  now: Pick<SavedComposition, 'rules'>,
  changed: ReadonlySet<string>,
  seedChanged: boolean,
): FittingState {
  const states = new Map<string, string[]>();
  for (const name of names) {
    const at = name.lastIndexOf(SEPARATOR);
    const variable = at < 0 ? '' : name.slice(0, at);
    if (!states.has(variable)) states.set(variable, []);
    states.get(variable)!.push(name);
  }
  const entries = new Set<string>();
  const kept: string[] = [];
  const dropped: { variable: string; reason: string }[] = [];
  for (const [variable, paths] of states) {
    const reason = variable === '' ? null : misfit(variable, paths);
    if (reason === null) for (const path of paths) entries.add(path);
    if (variable === '') continue;
    if (reason === null) kept.push(variable);
    else dropped.push({ variable, reason });
  }
  return { entries, kept, dropped };

  function misfit(variable: string, paths: readonly string[]): string | null {
    const [before, after] = [rule(saved, variable), rule(now, variable)];
    if (changed.has(variable)) return 'the variable changed its shape or is gone';
    if (before !== after || before === undefined)
      return `trained by ${before ?? 'nothing'}, now by ${after ?? 'nothing'}`;
    if (!paths.some(path => /(::|\/)epoch$/.test(path))) return null;
    if (seedChanged) return 'its subspace was drawn from another seed';
    return sameMembers(before) ? null : 'the variables that share its subspaces changed';
  }

  function sameMembers(shared: string): boolean {
    const members = ({ rules }: Pick<SavedComposition, 'rules'>): string[] =>
      Object.keys(rules).filter(name => rules[name] === shared);
    const before = members(saved);
    return `${before}` === `${members(now)}` && !before.some(name => changed.has(name));
  }
}

function rule({ rules }: Pick<SavedComposition, 'rules'>, variable: string): string | undefined {
  return Object.hasOwn(rules, variable) ? rules[variable] : undefined;
}
