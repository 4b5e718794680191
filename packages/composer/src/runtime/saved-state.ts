import { InvalidStateError, type Shape, sameShape, sizeOf } from '@frugaljs/core';
import { type Tensor, tensor } from '@tensorflow/tfjs-core';

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

function found(entry: SavedEntry): string {
  if (typeof entry === 'number') return `the number ${entry}`;
  return entry instanceof Int32Array ? `${entry.length} integers` : `a ${entry.dtype} tensor of shape [${entry.shape}]`;
}
