import { matrixView, type Shape, sameShape, sizeOf } from '@frugaljs/core';
import type { Tensor } from '@tensorflow/tfjs-core';
import type { Cell, Eager } from './eager.js';
import type { Operand } from './node-operations.js';
import type { Variables } from './variables.js';

/** Where in a parameter the entries of a tier stand: in some rows, in some columns, or anywhere. */
export class Places {
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
    const layout = this.axis === 'element' ? [sizeOf(this.shape)] : matrixView(this.shape);
    return this.viewed({ cell: { id }, shape: this.shape }, layout, whole => {
      const entries = eager.run(
        'GatherV2',
        [eager.type('Tparams'), eager.type('Tindices', 'int32'), eager.type('Taxis', 'int32')],
        [whole, eager.stored(this.indices).id, eager.int32([this.axis === 'column' ? 1 : 0], [])],
      );
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

  /** Rows are written where they are. */
  private writeRows(target: Cell, entries: Operand): void {
    const { eager } = this;
    if (this.variables.scattersInPlace) {
      const list = eager.stored(this.indices).id;
      this.scatter(target, matrixView(this.shape), entries, this.entriesShape, list);
      return;
    }
    this.viewed({ cell: target, shape: this.shape }, matrixView(this.shape), whole => {
      this.viewed(entries, this.entriesShape, rows => {
        const written = eager.run('InplaceUpdate', eager.float, [whole, eager.stored(this.indices).id, rows]);
        eager.delete(written.id);
      });
    });
  }

  /** Single entries are written where they are, or into a copy where TensorFlow insists on one. */
  private writeEntries(target: Cell, entries: Operand): void {
    const positions = this.positions();
    this.scatter(target, [sizeOf(this.shape)], entries, [sizeOf(entries.shape)], positions);
    this.eager.delete(positions);
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

  /** Flat positions of the entries, row by row. */
  private positions(): number {
    const { eager, indices } = this;
    const list = eager.stored(indices).id;
    if (this.axis === 'element') return eager.reshape(list, [indices.size], 'int32').id;
    const [rows, columns] = matrixView(this.shape);
    const bounds = [0, rows * columns, columns].map(bound => eager.int32([bound], []));
    const range = eager.run('Range', [eager.type('Tidx', 'int32')], bounds);
    const starts = eager.reshape(range.id, [rows, 1], 'int32');
    const places = eager.run('AddV2', [eager.type('T', 'int32')], [starts.id, list]);
    const shaped = eager.reshape(places.id, [rows * indices.size], 'int32');
    for (const { id } of [range, starts, places]) eager.delete(id);
    return shaped.id;
  }
}
