import { InvalidExpressionError } from './errors.js';
import { didYouMean } from './options.js';

/** The dimensions of a tensor. */
export type Shape = readonly number[];

/** Number of elements; 1 for a scalar. */
export function sizeOf(shape: Shape): number {
  return shape.reduce((product, dimension) => product * dimension, 1);
}

/**
 * A tensor seen as a matrix `[rows, columns]`: the last axis is the columns and all axes before it are the rows. A
 * vector is one row and a scalar is 1 × 1.
 */
export function matrixView(shape: Shape): readonly [rows: number, columns: number] {
  const columns = shape.length === 0 ? 1 : shape[shape.length - 1]!;
  return [sizeOf(shape.slice(0, -1)), columns];
}

/** True when both shapes have the same dimensions in the same order. */
export function sameShape(a: Shape, b: Shape): boolean {
  return a.length === b.length && a.every((dimension, axis) => dimension === b[axis]);
}

/**
 * Rounds to the nearest integer, ties to the even one, as Python's `round` does: 2.5 → 2, 3.5 → 4. Ranks and block
 * counts of the reference implementations are rounded so; `Math.round` differs at every tie.
 */
export function roundHalfToEven(x: number): number {
  const floor = Math.floor(x);
  const fraction = x - floor;
  if (fraction < 0.5) return floor;
  if (fraction > 0.5) return floor + 1;
  return floor % 2 === 0 ? floor : floor + 1;
}

/** How many values a slot (or a value in an expression) has: one per element, per row, per column or in all. */
export type Extent = 'element' | 'row' | 'column' | 'tensor';

/** One named piece of a rule's state. Slots are float32. */
export interface SlotSpec<E = Extent> {
  readonly extent: E;
  /** What a fresh or reset slot is filled with. Default 0. */
  readonly initial?: number;
  /**
   * How the slot changes basis when a subspace moves and the state is transported with the matrix C that maps old to
   * new coordinates: 1 for quantities linear in the gradient (x ← C x), 2 for quadratic ones (x ← (C ⊙ C) x, which
   * stays non-negative where C x would not). Default 1.
   */
  readonly degree?: 1 | 2;
}

/** The extent of a slot of a tensor rule: one that there is for all rules, or a shape of its own, such as r × n. */
export type TensorExtent = Extent | { readonly shape: Shape };

/** A slot of a tensor rule. One with a shape of its own stays as it is when the state is transported. */
export type TensorSlotSpec = SlotSpec<TensorExtent>;

export const EXTENTS: readonly Extent[] = ['element', 'row', 'column', 'tensor'];

/**
 * @param slot Whose extent it is, such as `lion.state.m`.
 * @param advice What to do; by default, the name that was meant.
 */
export function unknownExtent(slot: string, extent: unknown, advice?: string): InvalidExpressionError {
  return new InvalidExpressionError({
    parameter: `${slot}.extent`,
    found: extent,
    expected: `one of ${EXTENTS.join(', ')}`,
    ...(advice === undefined ? didYouMean(extent, EXTENTS) : { advice }),
  });
}

/** The shape in which a slot is stored: the site's own, `[rows, 1]`, `[1, columns]`, `[]`, or that of the extent. */
export function slotShape(extent: TensorExtent, shape: Shape): Shape {
  if (typeof extent === 'object') return extent.shape;
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
    default:
      throw unknownExtent('slot', extent);
  }
}

/** Bytes that a set of slots takes for a site of this shape. */
export function slotBytes(slots: Readonly<Record<string, TensorSlotSpec>>, shape: Shape): number {
  return Object.values(slots).reduce((bytes, slot) => bytes + 4 * sizeOf(slotShape(slot.extent, shape)), 0);
}

/** A parameter as its group sees it. */
export interface SiteMember {
  readonly name: string;
  readonly shape: Shape;
}

/** The place where a rule works: one parameter, and what it needs to know of its neighbors. */
export interface Site {
  /** Name of the parameter. */
  readonly name: string;
  /** Shape of the gradient that arrives here; inside a subspace that is the reduced shape. */
  readonly shape: Shape;
  /** Seed of the optimizer. */
  readonly seed: number;
  /** Where in the composition this is (`''` at the top, then `rule`, `residual`, `residual/rule` …). */
  readonly path: string;
  /** The parameters of the same group, in order; block-wise projectors choose among them. */
  readonly members: readonly SiteMember[];
  /** Position of this parameter in `members`. */
  readonly index: number;
}

/** A site that stands alone in its group. */
export function soleSite(name: string, shape: Shape, seed = 0): Site {
  return { name, shape, seed, path: '', members: [{ name, shape }], index: 0 };
}

/** The same parameter one level further down in the composition. */
export function childSite(site: Site, step: string, shape: Shape): Site {
  return { ...site, shape, path: site.path === '' ? step : `${site.path}/${step}` };
}
