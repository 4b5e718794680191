import { matrixView, type Shape, sameShape, sizeOf } from '@frugaljs/core';
import type { Tensor } from '@tensorflow/tfjs-core';
import type { Cell, Eager } from './eager.js';
import type { Operand } from './node-operations.js';
import type { Variables } from './variables.js';

/** Fewer entries are written by one slower operation sooner than a variable is filled, written and read. */
const WORTH_A_VARIABLE = 1 << 16;

/** Where in a parameter the entries of a tier stand: in some rows, in some columns, or anywhere. */
export class Places {
  /** Of the entries of columns, once they are asked for. */
  private positions: number | null = null;

  constructor(
    private readonly eager: Eager,
    private readonly variables: Variables,
    private readonly axis: 'row' | 'column' | 'element',
    private readonly indices: Tensor,
    /** Of the parameter. */
    private readonly shape: Shape,
  ) {}

  /** The shape of the entries. */
  get entriesShape(): Shape {
    const [rows, columns] = matrixView(this.shape);
    const { size } = this.indices;
    return this.axis === 'row' ? [size, columns] : this.axis === 'column' ? [rows, size] : [size];
  }

  /** The entries of a tensor of the parameter's shape, in a given shape. */
  read(id: number, shape: Shape): number {
    const { eager } = this;
    const layout = this.axis === 'row' ? matrixView(this.shape) : [sizeOf(this.shape)];
    return this.viewed({ cell: { id }, shape: this.shape }, layout, whole => {
      const entries =
        this.axis === 'row'
          ? eager.run('GatherV2', [whole, eager.stored(this.indices).id, eager.int32([0], [])])
          : // Single entries are gathered faster so than along an axis.
            this.withPositions([sizeOf(this.entriesShape), 1], places => eager.run('GatherNd', [whole, places]));
      if (sameShape(entries.shape, shape)) return entries.id;
      const shaped = eager.reshape(entries.id, shape);
      eager.delete(entries.id);
      return shaped.id;
    });
  }

  /** Puts entries over those of a tensor that was just computed, so that nobody else knows its buffer yet. */
  write(target: Cell, entries: Operand): void {
    if (this.axis === 'row') this.writeRows(target, entries);
    else this.writeEntries(target, entries);
  }

  /** Frees what reading and writing had to compute. */
  dispose(): void {
    if (this.positions !== null) this.eager.delete(this.positions);
    this.positions = null;
  }

  /** Rows are written where they are. */
  private writeRows(target: Cell, entries: Operand): void {
    const { eager } = this;
    const list = eager.stored(this.indices).id;
    if (sizeOf(this.entriesShape) >= WORTH_A_VARIABLE && this.variables.scattersInPlace) {
      this.scatter(target, matrixView(this.shape), entries, this.entriesShape, list);
      return;
    }
    // This operation neither copies nor asks who else holds the buffer.
    this.viewed({ cell: target, shape: this.shape }, matrixView(this.shape), whole => {
      this.viewed(entries, this.entriesShape, rows => {
        eager.delete(eager.run('InplaceUpdate', [whole, list, rows]).id);
      });
    });
  }

  /** Single entries are written where they are, or into a copy where TensorFlow insists on one. */
  private writeEntries(target: Cell, entries: Operand): void {
    const listed = [sizeOf(entries.shape)];
    this.withPositions(listed, places => this.scatter(target, [sizeOf(this.shape)], entries, listed, places));
  }

  /** Scatters into the target in a shape in which places are counted along the first axis. */
  private scatter(target: Cell, layout: Shape, entries: Operand, listed: Shape, places: number): void {
    const { eager } = this;
    const isView = !sameShape(layout, this.shape);
    const reshape = (shape: Shape): void => {
      const { id } = eager.reshape(target.id, shape);
      eager.delete(target.id);
      target.id = id;
    };
    if (isView) reshape(layout);
    try {
      this.viewed(entries, listed, values => this.variables.scatter(target, places, values));
    } finally {
      if (isView) reshape(this.shape);
    }
  }

  /** Uses an operand in another shape, if it has not got it already. */
  private viewed<T>({ cell, shape }: Operand, wanted: Shape, use: (id: number) => T): T {
    if (sameShape(shape, wanted)) return use(cell.id);
    const view = this.eager.reshape(cell.id, wanted);
    try {
      return use(view.id);
    } finally {
      this.eager.delete(view.id);
    }
  }

  /** Flat positions of the entries, row by row, in a shape. */
  private withPositions<T>(shape: Shape, use: (id: number) => T): T {
    const { eager, indices } = this;
    const view = eager.reshape(this.axis === 'element' ? eager.stored(indices).id : this.columnPositions(), shape);
    try {
      return use(view.id);
    } finally {
      eager.delete(view.id);
    }
  }

  private columnPositions(): number {
    if (this.positions !== null) return this.positions;
    const { eager, indices } = this;
    const [rows, columns] = matrixView(this.shape);
    const bounds = [0, rows * columns, columns].map(bound => eager.int32([bound], []));
    const range = eager.run('Range', bounds);
    const starts = eager.reshape(range.id, [rows, 1]);
    this.positions = eager.run('AddV2', [starts.id, eager.stored(indices).id]).id;
    for (const { id } of [range, starts]) eager.delete(id);
    return this.positions;
  }
}
