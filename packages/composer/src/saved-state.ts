import { InvalidStateError, type Rule, type Shape, sameShape, sizeOf, type TensorSlotSpec } from '@frugaljs/core';
import { keep, scalar, Tensor, tensor, tensor1d } from '@tensorflow/tfjs-core';
import type { NamedTensor } from './gradients.js';

// The names under which state is saved: `variable::path`, with a path of slots below the steps `rule`, `residual`,
// `combine` and `basis`. Files have them, so they never change.

/** Between a variable's name and the path of its state; variable names hold slashes of their own. */
const SEPARATOR = '::';
/** Entries of the optimizer itself have no variable name before the separator. */
export const OWN = '';
/** The last step in the path of a refresh index, which was called so when the first files were written. */
export const REFRESH_INDEX = 'epoch';
/** The last step in the path of the number of members that a group had when a subspace was chosen, if it grew since. */
export const MEMBERS = 'members';
/**
 * Path of the place of a variable in the order in which they joined, followed by its shape. No slot has a name with a
 * slash.
 */
export const PLACE = 'order/place';

/** The variable that a saved tensor belongs to; empty for what is no variable's own. */
export function variableOf(name: string): string {
  return name.slice(0, Math.max(0, name.lastIndexOf(SEPARATOR)));
}

/** True for the name of the refresh index of a subspace. All that is in a subspace depends on one. */
export function isRefreshIndex(name: string): boolean {
  const path = name.slice(name.lastIndexOf(SEPARATOR) + SEPARATOR.length);
  return path === REFRESH_INDEX || path.endsWith(`/${REFRESH_INDEX}`);
}

/** What one entry of a parameter's state holds: a tensor, an integer counter or a list of integers. */
export type SavedEntry = Tensor | number | Int32Array;

/** State of one parameter by path. */
export type SavedState = Map<string, SavedEntry>;

/** Joins two steps of a state path. */
export function joinPath(path: string, step: string): string {
  return path === '' ? step : `${path}/${step}`;
}

/** Reads the saved state of a parameter, checks each entry, and knows what was never asked for. */
export class StateReader {
  private readonly unread: Set<string>;

  constructor(
    readonly parameter: string,
    private readonly entries: ReadonlyMap<string, SavedEntry>,
  ) {
    this.unread = new Set(entries.keys());
  }

  has(path: string): boolean {
    return this.entries.has(path);
  }

  counter(path: string): number {
    const entry = this.take(path);
    if (typeof entry === 'number') return entry;
    throw this.complaint(path, found(entry), 'an integer counter');
  }

  integers(path: string, length: number): Int32Array {
    const entry = this.take(path);
    if (entry instanceof Int32Array && entry.length === length) return entry;
    throw this.complaint(path, found(entry), `${length} integers`);
  }

  tensor(path: string, shape: Shape, dtype: 'float32' | 'int32' = 'float32'): Tensor {
    const entry = this.take(path);
    if (dtype === 'int32' && entry instanceof Int32Array && entry.length === sizeOf(shape)) {
      return tensor(entry, [...shape], 'int32');
    }
    if (typeof entry === 'number' || entry instanceof Int32Array || !sameShape(entry.shape, shape)) {
      throw this.complaint(path, found(entry), `a ${dtype} tensor of shape [${shape}]`);
    }
    return entry;
  }

  /** A tensor with as many columns as training has come to: 1 to those of the shape. */
  tensorWithin(path: string, largest: Shape): Tensor {
    const entry = this.take(path);
    if (entry instanceof Tensor) {
      const columns = entry.shape.at(-1)!;
      const isWithin = columns >= 1 && columns <= largest.at(-1)!;
      if (isWithin && sameShape(entry.shape, [...largest.slice(0, -1), columns])) return entry;
    }
    throw this.complaint(path, found(entry), `a float32 tensor of shape [${largest}], or with fewer columns`);
  }

  /** Numbers as {@link bitsOf} saves them. */
  numbers(path: string, length: number): readonly number[] {
    return numbersOf(this.integers(path, 2 * length));
  }

  /** Throws when something was saved that the optimizer has no place for. */
  finish(): void {
    if (this.unread.size === 0) return;
    throw new InvalidStateError({
      parameter: this.parameter,
      found: `saved state ${[...this.unread].join(', ')}`,
      expected: 'only the state that this composition keeps',
      advice: 'Load the state into an optimizer with the composition it was saved from.',
    });
  }

  private take(path: string): SavedEntry {
    const entry = this.entries.get(path);
    if (entry === undefined) throw this.complaint(path, 'nothing', 'a saved value');
    this.unread.delete(path);
    return entry;
  }

  private complaint(path: string, found: string, expected: string): InvalidStateError {
    return new InvalidStateError({
      parameter: `${this.parameter}::${path}`,
      found,
      expected,
      advice: 'Load the state into an optimizer with the composition it was saved from.',
    });
  }
}

/** Numbers as state holds them: exactly, each as the two halves of a float64. */
export function bitsOf(numbers: readonly number[]): Int32Array {
  const bits = new DataView(new ArrayBuffer(8 * numbers.length));
  numbers.forEach((number, i) => {
    bits.setFloat64(8 * i, number);
  });
  return Int32Array.from({ length: 2 * numbers.length }, (_, i) => bits.getInt32(4 * i));
}

/** The inverse of {@link bitsOf}. */
export function numbersOf(halves: Int32Array): number[] {
  const bits = new DataView(new ArrayBuffer(4 * halves.length));
  halves.forEach((half, i) => {
    bits.setInt32(4 * i, half);
  });
  return Array.from({ length: halves.length / 2 }, (_, i) => bits.getFloat64(8 * i));
}

function found(entry: SavedEntry): string {
  if (typeof entry === 'number') return `the number ${entry}`;
  return entry instanceof Int32Array ? `${entry.length} integers` : `a ${entry.dtype} tensor of shape [${entry.shape}]`;
}

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

/**
 * The inverse of {@link toNamedTensors}; float32 tensors are copied and belong to the caller.
 *
 * @throws InvalidStateError for another optimizer's names and for values that no run leaves behind: NaN, and counters
 *   below 0.
 */
export async function fromNamedTensors(weights: readonly NamedTensor[]): Promise<SavedStates> {
  if (!Array.isArray(weights)) {
    throw new InvalidStateError({
      parameter: 'setWeights',
      found: String(weights),
      expected: 'a list of { name, tensor }, as getWeights returns it',
    });
  }
  const states: SavedStates = new Map();
  try {
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
      states.get(variable)!.set(path, await entryOf(name, tensor));
    }
    requirePlaces(states);
  } catch (error) {
    disposeStates(states);
    throw error;
  }
  return states;
}

/** Leaves out one entry of all states, and the states that had nothing else. */
export function dropEntries(states: SavedStates, path: string): void {
  for (const [name, entries] of states) {
    const entry = entries.get(path);
    if (entry instanceof Tensor) entry.dispose();
    entries.delete(path);
    if (entries.size === 0) states.delete(name);
  }
}

/** Frees the tensors of saved states. */
export function disposeStates(states: SavedStates): void {
  for (const entries of states.values()) {
    for (const entry of entries.values()) {
      if (typeof entry !== 'number' && !(entry instanceof Int32Array)) entry.dispose();
    }
  }
}

/** The smallest entry of each tensor that {@link fromNamedTensors} has made. */
const smallestOf = new WeakMap<Tensor, number>();

async function entryOf(name: string, tensor: Tensor): Promise<SavedEntry> {
  if (tensor.dtype !== 'int32') {
    let smallest = Number.POSITIVE_INFINITY;
    for (const value of await tensor.data<'float32'>()) smallest = Math.min(smallest, value);
    if (Number.isNaN(smallest)) throw damaged(name, 'NaN', 'numbers');
    const copy = keep(tensor.clone());
    smallestOf.set(copy, smallest);
    return copy;
  }
  const integers = Int32Array.from(await tensor.data());
  const isCounter = tensor.rank === 0 || /(^|[:/])ages$/.test(name);
  const negative = isCounter ? integers.find(value => value < 0) : undefined;
  if (negative !== undefined) throw damaged(name, `${negative}`, 'a count of at least 0');
  return tensor.rank === 0 ? integers[0]! : integers;
}

/**
 * Checks the slots of a rule that hold squares of gradients (`degree: 2`), as loaded for one parameter.
 *
 * @throws InvalidStateError for one that has an entry below 0.
 */
export function requireSquares(
  variable: string,
  state: ReadonlyMap<string, SavedEntry>,
  rule: Rule,
  shape: Shape,
  path = '',
): void {
  const requireSlots = (slots: Readonly<Record<string, TensorSlotSpec>>, at: string): void => {
    for (const [slot, { degree, extent }] of Object.entries(slots)) {
      const entry = state.get(joinPath(at, slot));
      // A slot with a shape of its own may be a matrix of products, which have any sign.
      const isMatrix = typeof extent === 'object' && 'shape' in extent;
      if (degree !== 2 || isMatrix || !(entry instanceof Tensor)) continue;
      const smallest = smallestOf.get(entry) ?? 0;
      if (smallest < 0) {
        throw damaged(`${variable}${SEPARATOR}${joinPath(at, slot)}`, `${smallest}`, 'squares, which are at least 0');
      }
    }
  };
  if (rule.type !== 'subspace') {
    requireSlots(rule.state(shape), path);
    return;
  }
  requireSquares(variable, state, rule.rule, shape, joinPath(path, 'rule'));
  if (rule.combine.rule) requireSquares(variable, state, rule.combine.rule, shape, joinPath(path, 'residual'));
  requireSlots(rule.combine.state(shape), joinPath(path, 'combine'));
}

function damaged(name: string, found: string, expected: string): InvalidStateError {
  return new InvalidStateError({
    parameter: name,
    found,
    expected,
    advice: 'The saved state is damaged, or is that of a run that had gone wrong: load an earlier one.',
  });
}

/** State as it was before the order was part of it. */
export function withoutMembers(state: SavedState): void {
  for (const [path, entry] of state) {
    if (typeof entry === 'number' && path.split('/').at(-1) === MEMBERS) state.delete(path);
  }
}

/** The place of a variable in the order in which they joined, and the shape it has. */
export interface SavedPlace {
  readonly place: number;
  readonly shape: Shape;
}

/** A place as one entry of state. */
export function placeEntry({ place, shape }: SavedPlace): Int32Array {
  return Int32Array.of(place, ...shape);
}

/** The saved place of a variable; null where none was saved. */
export function placeOf(state: ReadonlyMap<string, SavedEntry>): SavedPlace | null {
  const entry = state.get(PLACE);
  if (!(entry instanceof Int32Array)) return null;
  const [place, ...shape] = entry;
  return { place: place!, shape };
}

/**
 * Checks the saved places of variables.
 *
 * @throws InvalidStateError for what is no place, and for one that two variables have.
 */
function requirePlaces(states: SavedStates): void {
  const taken = new Map<number, string>();
  for (const [variable, state] of states) {
    const entry = state.get(PLACE);
    if (entry === undefined) continue;
    const name = `${variable}${SEPARATOR}${PLACE}`;
    if (!(entry instanceof Int32Array) || entry.length === 0 || entry.some((value, i) => value < (i === 0 ? 0 : 1))) {
      throw damaged(name, entry instanceof Int32Array ? `[${entry}]` : found(entry), 'a place and a shape');
    }
    const other = taken.get(entry[0]!);
    if (other !== undefined) throw damaged(name, `place ${entry[0]}, which ${other} has`, 'a place of its own');
    taken.set(entry[0]!, variable);
  }
}
