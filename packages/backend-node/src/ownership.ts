import type { Cell, Eager } from './eager.js';

/**
 * Which tensors have a buffer that an operation of this package made. Those of others may be JavaScript memory: tfjs-node
 * hands the typed array of a new tensor to TensorFlow without a copy, and an update in place would change it under the
 * hands of whoever wrote it.
 */
export class Ownership {
  private readonly known = new WeakMap<Cell, number>();

  constructor(private readonly eager: Eager) {}

  /** Makes sure that the buffer of a tensor is TensorFlow's own, by a copy where that is not known. */
  claim(stored: Cell): void {
    if (this.known.get(stored) === stored.id) return;
    const copy = this.eager.run('DeepCopy', [stored.id]);
    this.eager.delete(stored.id);
    stored.id = copy.id;
    this.record(stored);
  }

  /** The current buffer of a tensor was made here. */
  record(stored: Cell): void {
    this.known.set(stored, stored.id);
  }
}
