import { matrixView, type Shape, sizeOf } from './shape.js';

/** How many values a slot (or a value in an expression) has: one per element, per row, per column or in all. */
export type Extent = 'element' | 'row' | 'column' | 'tensor';

/** One named piece of a rule's state. Slots are float32. */
export interface SlotSpec {
  readonly extent: Extent;
  /** What a fresh or reset slot is filled with. Default 0. */
  readonly initial?: number;
  /**
   * How the slot changes basis when a subspace moves and the state is transported with the matrix C that maps old to
   * new coordinates: 1 for quantities linear in the gradient (x ← C x), 2 for quadratic ones (x ← (C ⊙ C) x, which
   * stays non-negative where C x would not). Default 1.
   */
  readonly degree?: 1 | 2;
}

/** The shape in which a slot is stored: the site's own, `[rows, 1]`, `[1, columns]` or `[]`. */
export function slotShape(extent: Extent, shape: Shape): Shape {
  const [rows, columns] = matrixView(shape);
  switch (extent) {
    case 'element':
      return shape;
    case 'row':
      return [rows, 1];
    case 'column':
      return [1, columns];
    case 'tensor':
      return [];
  }
}

/** Bytes that a set of slots takes for a site of this shape. */
export function slotBytes(slots: Readonly<Record<string, SlotSpec>>, shape: Shape): number {
  return Object.values(slots).reduce((bytes, slot) => bytes + 4 * sizeOf(slotShape(slot.extent, shape)), 0);
}
