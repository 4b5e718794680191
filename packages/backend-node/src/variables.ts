import type { Attribute, Cell, Eager } from './eager.js';

/** With fewer entries, plain operations are done sooner than a variable is filled, updated and read. */
export const WORTH_A_VARIABLE: number = 1 << 16;

/** Handles of the same name would be the same variable. */
let named = 0;

/**
 * Resource variables, which TensorFlow's training operations update. They belong to the process, and hold a buffer only
 * while a step is taken: a tensor is put in (which shares its buffer), updated and taken out again (which shares it, too).
 *
 * Nothing is copied when the handle of the tensor was the only holder of its buffer. Otherwise, be it a clone or the
 * result of a reshape or slice that shares the buffer, TensorFlow finds more than one reference and copies before it
 * writes. So nobody ever sees a value change under his hands.
 */
export class Variables {
  private readonly handles: number[] = [];
  private readonly type: readonly Attribute[];
  /** How many of the first variables hold a buffer. */
  private held = 0;
  /** Written by {@link scatter} where it hands out copies. */
  private copying: number | null = null;
  private sharesAgain: boolean | null = null;

  constructor(private readonly eager: Eager) {
    this.type = [eager.type('dtype')];
  }

  /**
   * Updates the values of cells by a training operation; each gets a new handle in the place of its old one.
   *
   * @param apply Is given one variable for each cell.
   */
  update(cells: readonly Cell[], apply: (variables: readonly number[]) => void): void {
    const { eager, type } = this;
    while (this.handles.length < cells.length) this.handles.push(this.create());
    const variables = this.handles.slice(0, cells.length);
    this.holds(cells.length);
    cells.forEach((cell, i) => {
      eager.call('AssignVariableOp', [variables[i]!, cell.id]);
      eager.delete(cell.id);
    });
    try {
      apply(variables);
    } finally {
      // An operation that fails leaves the old values.
      cells.forEach((cell, i) => {
        cell.id = eager.run('ReadVariableOp', [variables[i]!], type).id;
      });
    }
  }

  /**
   * Whether {@link scatter} works in place. A variable that was written so hands out copies from then on, as a precaution
   * that versions of TensorFlow after 2.9 can be asked to drop.
   */
  get scattersInPlace(): boolean {
    this.sharesAgain ??= this.stopsCopying();
    return this.sharesAgain;
  }

  /** Puts entries over some of a vector, or rows over some of a matrix, in place under the same condition. */
  scatter(target: Cell, indices: number, entries: number): void {
    const { eager, type } = this;
    const write = (variable: number): void => eager.call('ResourceScatterUpdate', [variable, indices, entries], type);
    if (this.scattersInPlace) {
      this.update([target], ([variable]) => {
        write(variable!);
        eager.call('DisableCopyOnRead', [variable!]);
      });
      return;
    }
    const variable = this.forCopies();
    eager.call('AssignVariableOp', [variable, target.id]);
    eager.delete(target.id);
    try {
      write(variable);
    } finally {
      target.id = eager.run('ReadVariableOp', [variable], type).id;
      // With it goes the precaution; its handle is good for the next one.
      eager.call('DestroyResourceOp', [variable]);
    }
  }

  /**
   * Variables are emptied when the program comes to rest after a step, not after each update: until then the next update
   * replaces what they hold, and whatever is updated again is found where it was, still with no other holder.
   */
  private holds(count: number): void {
    if (this.held === 0) queueMicrotask(() => this.empty());
    this.held = Math.max(this.held, count);
  }

  private empty(): void {
    const nothing = this.eager.scalar(0);
    for (const variable of this.handles.slice(0, this.held)) this.eager.call('AssignVariableOp', [variable, nothing]);
    this.held = 0;
  }

  private stopsCopying(): boolean {
    const variable = this.forCopies();
    this.eager.call('AssignVariableOp', [variable, this.eager.scalar(0)]);
    try {
      this.eager.call('DisableCopyOnRead', [variable]);
      return true;
    } catch {
      return false;
    } finally {
      this.eager.call('DestroyResourceOp', [variable]);
    }
  }

  private forCopies(): number {
    this.copying ??= this.create();
    return this.copying;
  }

  private create(): number {
    const { binding } = this.eager.backend;
    named += 1;
    return this.eager.run(
      'VarHandleOp',
      [],
      [
        ...this.type,
        // Only a hint: a variable takes tensors of any shape.
        { name: 'shape', type: binding.TF_ATTR_SHAPE, value: [] },
        { name: 'container', type: binding.TF_ATTR_STRING, value: '' },
        { name: 'shared_name', type: binding.TF_ATTR_STRING, value: `frugal/update/${named}` },
      ],
    ).id;
  }
}

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
