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

/**
 * How many values a slot (or a value in an expression) has: one per element, per row, per column, in all, or one for each
 * block of n neighbors along the last axis.
 *
 * The size of a block is part of the word. Extents are compared with `===`, are keys of tables and stand in the text by
 * which kernels are found, and two graphs that differ in nothing but n must not be taken for one another. Where a slot or
 * a reduction is written down, `{ block: n }` is the word for it: see {@link extentOf}.
 */
export type Extent = 'element' | 'row' | 'column' | 'tensor' | BlockExtent;

/** One value for each block of n columns of a row. The last block of a row has fewer where n does not divide them. */
export type BlockExtent = `block ${number}`;

/** An extent as rules write it. */
export type SlotExtent = Extent | Block;

/** Blocks of n neighbors along the last axis; they do not cross rows. With n = 1 there is one value per element. */
export interface Block {
  readonly block: number;
}

/** One named piece of a rule's state. Slots are float32. */
export interface SlotSpec<E = SlotExtent> {
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
export type TensorExtent = SlotExtent | { readonly shape: Shape };

/** A slot of a tensor rule. One with a shape of its own stays as it is when the state is transported. */
export type TensorSlotSpec = SlotSpec<TensorExtent>;

/** The extents that have a word of their own. */
export const EXTENTS: readonly Extent[] = ['element', 'row', 'column', 'tensor'];

/**
 * @param slot Whose extent it is, such as `lion.state.m`.
 * @param advice What to do; by default, the name that was meant.
 */
export function unknownExtent(slot: string, extent: unknown, advice?: string): InvalidExpressionError {
  return new InvalidExpressionError({
    parameter: `${slot}.extent`,
    found: extent,
    expected: `one of ${EXTENTS.join(', ')}, or { block: n } with a whole n of at least 1`,
    ...(advice === undefined ? didYouMean(extent, EXTENTS) : { advice }),
  });
}

/** The one word for an extent; `undefined` for what is none. */
export function knownExtent(extent: unknown): Extent | undefined {
  if (typeof extent === 'object' && extent !== null && 'block' in extent) return extentOfBlock(extent.block);
  if (typeof extent !== 'string') return undefined;
  return EXTENTS.includes(extent as Extent) || blockSize(extent) !== null ? (extent as Extent) : undefined;
}

/**
 * The one word for an extent, however it was written.
 *
 * @param slot Whose extent it is, for the message.
 * @throws InvalidExpressionError for what is no extent.
 */
export function extentOf(extent: SlotExtent, slot = 'slot'): Extent {
  const known = knownExtent(extent);
  if (known === undefined) throw unknownExtent(slot, extent);
  return known;
}

function extentOfBlock(size: unknown): Extent | undefined {
  if (!Number.isSafeInteger(size) || (size as number) < 1) return undefined;
  return size === 1 ? 'element' : `block ${size as number}`;
}

const BLOCK = /^block ([1-9]\d*)$/;

/** Columns in a block of this extent; `null` for an extent without blocks. */
export function blockSize(extent: string): number | null {
  const size = BLOCK.exec(extent)?.[1];
  return size === undefined ? null : Number(size);
}

/**
 * The shape in which a slot is stored: the site's own, `[rows, 1]`, `[1, columns]`, `[]`, for blocks
 * `[rows, ⌈columns / n⌉]`, or that of the extent.
 */
export function slotShape(extent: TensorExtent, shape: Shape): Shape {
  if (typeof extent === 'object' && 'shape' in extent) return extent.shape;
  const [rows, columns] = matrixView(shape);
  const known = extentOf(extent);
  switch (known) {
    case 'element':
      return shape;
    case 'row':
      return [rows, 1];
    case 'column':
      return [1, columns];
    case 'tensor':
      return [];
    default:
      return [rows, Math.ceil(columns / blockSize(known)!)];
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
