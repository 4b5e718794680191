import type { Tensor } from '@tensorflow/tfjs-core';
import type { Described } from './options.js';
import type { Shape, Site } from './slots.js';

/** The tensors that describe a subspace, by name. */
export type Basis<B extends string = string> = { readonly [K in B]: Tensor };

/** Shape and type of one tensor of a basis. */
export interface BasisSpec {
  readonly shape: Shape;
  readonly dtype: 'float32' | 'int32';
}

export interface ProjectorTraits {
  /** down has orthonormal rows, so up = downᵀ and up∘down is an orthogonal projection. */
  readonly orthonormal: boolean;
  /**
   * The subspace is spanned by coordinates: down gathers them in ascending order, up scatters, and the residual is exact.
   * Where not everything is in it, the basis has their int32 `indices`: rows, columns or flat entries.
   */
  readonly coordinate: boolean;
  /**
   * What the basis follows from. `seed`: a pure function of (seed, parameter, refresh), re-derived on load and never
   * saved. `gradient`: fitted to the gradient at the refresh, saved with the state. `fixed`: the same in every refresh
   * and re-derived on load.
   */
  readonly basisFrom: 'seed' | 'gradient' | 'fixed';
  /**
   * E[up ∘ down] = I over the draws of the basis, with up = downᵀ: a sketch, of which no single draw is a projection. For
   * combines that take measures in the subspace and lift nothing. Default false.
   */
  readonly unbiased?: boolean;
}

export interface FitContext {
  readonly site: Site;
  /** Number of the subspace, from 0. */
  readonly refreshIndex: number;
  /**
   * Flat or axis indices that an enclosing coordinate projector of the same `kind` already covers, ascending. A nested
   * split draws from the others, so that no coordinate is covered twice.
   */
  readonly occupied?: Int32Array;
  /** The revision of the projector that should choose, from 1; by default the current one. */
  readonly revision?: number;
}

/**
 * Picks the subspace in which a rule keeps its state. With q = size of the reduced shape:
 * down: R^{m×n} → R^q and up: R^q → R^{m×n} are linear, down∘up = id unless the projector is a sketch (`traits.unbiased`).
 *
 * Every method is pure: tensors that come in are neither changed nor disposed, tensors that go out belong to the caller.
 */
export interface Projector<B extends string = string> extends Described {
  readonly traits: ProjectorTraits;
  /**
   * Counts the published ways in which `fit` derives a basis. Default 1; raise it when another one follows from the same
   * seed or gradient, and keep the earlier ways: state that was saved with one is continued with it.
   */
  readonly revision?: number;
  /**
   * Throws an `UnsupportedShapeError` or `InvalidOptionError` when the projector cannot work at this site.
   * Called once, before any state is created.
   */
  check?(site: Site): void;
  /** Shape of down(G) in this refresh; `null` when nothing of this parameter is in the subspace (block-wise). */
  reducedShape(site: Site, refreshIndex: number): Shape | null;
  /**
   * The axis of the matrix that stays as it is while the other one is projected: one number of each row (or column) of
   * down(G) is one of a row (or column) of G. Needed where the shapes do not tell, as those of a square basis. Default:
   * the axis of which the reduced shape has as many, the longer one if it has both, and none for a vector.
   */
  keeps?(site: Site): 'row' | 'column' | null;
  /**
   * Why nothing of this parameter is in the subspace in any refresh, in a few words; null when its turn comes. For
   * projectors whose `reducedShape` is null in some refreshes. Default: its turn comes.
   */
  leavesOut?(site: Site): string | null;
  /**
   * Shape of down(G) with this basis, for projectors whose size follows from the gradient: `reducedShape` and `basis` then
   * give the largest that there can be, and `fit` returns the same tensors with as many or fewer columns.
   */
  shapeWith?(basis: Basis<B>, site: Site): Shape;
  /**
   * The refresh in which the subspace is largest, so that memory can be planned for all of them. Default: all are of one
   * size, or blocks take turns.
   */
  largestAt?(site: Site): number;
  /**
   * The tensors that `fit` returns in this refresh. Empty when the basis needs none.
   *
   * @param refreshIndex Matters only where the size of the subspace changes. Default 0.
   */
  basis(site: Site, refreshIndex?: number): Readonly<Record<B, BasisSpec>>;
  /**
   * Chooses the subspace of a refresh. `g` is null only when `basisFrom` is not `gradient`, in which case it must not
   * matter. Called only when `reducedShape` is neither null nor empty.
   */
  fit(g: Tensor | null, previous: Basis<B> | null, context: FitContext): Basis<B>;
  down(g: Tensor, basis: Basis<B>, site: Site): Tensor;
  up(x: Tensor, basis: Basis<B>, site: Site): Tensor;
  /**
   * A function for rows `from` … `from + count` of up(X), as a matrix. With it a step needs not hold
   * all of up(X) at once; worth having for projectors whose `up` is a product of matrices. Tensors made here, for use by
   * all calls, are left to the caller's `tidy`.
   */
  upRows?(basis: Basis<B>, site: Site): (x: Tensor, from: number, count: number) => Tensor;
  /**
   * Carries element-wise state from one subspace to the next: degree 1 is x ← down_to(up_from(x)), the default; degree
   * 2 squares the entries of the change of basis. Coordinate projectors need no method of their own: both degrees are
   * the default.
   */
  transport?(x: Tensor, from: Basis<B>, to: Basis<B>, site: Site, degree: 1 | 2): Tensor;
}
