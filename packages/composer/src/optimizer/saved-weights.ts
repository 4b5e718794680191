import { InvalidStateError, sameShape } from '@frugaljs/core';
import { keep, scalar, type Tensor, tensor1d } from '@tensorflow/tfjs-core';
import type { SavedEntry, SavedState } from '../runtime/saved-state.js';
import type { NamedTensor } from './gradients.js';

/** Between a variable's name and the path of its state; variable names hold slashes of their own. */
const SEPARATOR = '::';
/** Entries of the optimizer itself have no variable name before the separator. */
export const OWN = '';

/** Saved entries by variable name and path. */
export type SavedStates = Map<string, Map<string, SavedEntry>>;

/**
 * State as the list of named tensors that tfjs saves. Integers become int32 tensors, which `made` collects so that the
 * optimizer can dispose them later; state tensors are handed out as they are, as tfjs's own optimizers do.
 */
export function toNamedTensors(states: ReadonlyMap<string, SavedState>, made: Tensor[]): NamedTensor[] {
  return [...states].flatMap(([variable, state]) =>
    [...state].map(([path, entry]) => {
      const name = `${variable}${SEPARATOR}${path}`;
      if (typeof entry !== 'number' && !(entry instanceof Int32Array)) return { name, tensor: entry };
      const integers = keep(typeof entry === 'number' ? scalar(entry, 'int32') : tensor1d(entry, 'int32'));
      made.push(integers);
      return { name, tensor: integers };
    }),
  );
}

/** The inverse of {@link toNamedTensors}; float32 tensors are copied and belong to the caller. */
export async function fromNamedTensors(weights: readonly NamedTensor[]): Promise<SavedStates> {
  const states: SavedStates = new Map();
  for (const { name, tensor } of weights) {
    const at = name.lastIndexOf(SEPARATOR);
    if (at < 0) {
      throw new InvalidStateError({
        parameter: 'setWeights',
        found: name,
        expected: `names of the form variable${SEPARATOR}slot`,
        advice: 'These weights were saved by another kind of optimizer.',
      });
    }
    const [variable, path] = [name.slice(0, at), name.slice(at + SEPARATOR.length)];
    if (!states.has(variable)) states.set(variable, new Map());
    states.get(variable)!.set(path, await entryOf(tensor));
  }
  return states;
}

async function entryOf(tensor: Tensor): Promise<SavedEntry> {
  if (tensor.dtype !== 'int32') return keep(tensor.clone());
  const integers = Int32Array.from(await tensor.data());
  return tensor.rank === 0 ? integers[0]! : integers;
}

/**
 * Finds, for variables in training, the names under which their state was saved. Loading a model beside a live one
 * renames its variables (`kernel` becomes `kernel_1`), so a name is looked for as it is, then without its number, and
 * if neither is there for all of them, by position when there are as many and all slots of equal shape agree.
 */
export function matchSavedNames(
  variables: readonly { readonly name: string; readonly shape: readonly number[] }[],
  saved: SavedStates,
): Map<string, string> {
  const savedNames = [...saved.keys()].filter(name => name !== OWN);
  const exact = new Map(variables.filter(({ name }) => saved.has(name)).map(({ name }) => [name, name]));
  if (exact.size === savedNames.length) return exact;

  const withoutNumber = new Map<string, string[]>();
  for (const name of savedNames) {
    if (exact.has(name)) continue;
    const stem = stemOf(name);
    withoutNumber.set(stem, [...(withoutNumber.get(stem) ?? []), name]);
  }
  const byStem = new Map(exact);
  for (const { name } of variables) {
    const candidates = withoutNumber.get(stemOf(name)) ?? [];
    const rivals = variables.filter(other => !exact.has(other.name) && stemOf(other.name) === stemOf(name));
    if (!exact.has(name) && candidates.length === 1 && rivals.length === 1) byStem.set(name, candidates[0]!);
  }
  if (byStem.size === savedNames.length) return byStem;

  const fits = (variable: { readonly shape: readonly number[] }, name: string): boolean =>
    [...saved.get(name)!.entries()].every(
      ([path, entry]) =>
        path.includes('/') ||
        typeof entry === 'number' ||
        entry instanceof Int32Array ||
        mayBelong(entry.shape, variable.shape),
    );
  if (variables.length === savedNames.length && variables.every((variable, i) => fits(variable, savedNames[i]!))) {
    return new Map(variables.map(({ name }, i) => [name, savedNames[i]!]));
  }
  throw new InvalidStateError({
    parameter: 'setWeights',
    found: `state of ${savedNames.join(', ')}`,
    expected: `state of ${variables.map(({ name }) => name).join(', ')}`,
    advice: 'Give the variables the names they had when the state was saved.',
  });
}

function stemOf(name: string): string {
  return name.replace(/_\d+(?=$|\/)/g, '');
}

/** A slot has the shape of its variable, one value per row or column, or one in all. */
function mayBelong(slot: readonly number[], variable: readonly number[]): boolean {
  return sameShape(slot, variable) || slot.length === 0 || (slot.length === 2 && slot.includes(1));
}
