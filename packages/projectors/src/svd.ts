import {
  type Basis,
  backendTraits,
  InvalidOptionError,
  NonFiniteGradientError,
  type Projector,
  requireBoolean,
  requireInteger,
  requireKnownKeys,
  requireNumber,
  requireOneOf,
  type Site,
  sameShape,
  UnsupportedBackendError,
} from '@frugaljs/core';
import { leadingSingularTriplets, leadingSubspace, NonFiniteMatrixError, type SubspaceOptions } from '@frugaljs/linalg';
import {
  abs,
  div,
  keep,
  less,
  max,
  mul,
  onesLike,
  scalar,
  slice,
  square,
  sum,
  type Tensor,
  type Tensor2D,
  tidy,
  where,
} from '@tensorflow/tfjs-core';
import {
  type DenseBasis,
  type DenseBasisName,
  type DenseSizes,
  denseBasis,
  denseDown,
  denseSizes,
  denseSpec,
  denseTransport,
  denseUp,
  denseUpRows,
  keptAxis,
  SIDES,
  type Side,
} from './dense.js';
import { type RankOptions, requireSize } from './requirements.js';

export interface SvdOptions extends RankOptions {
  /** From which side the basis multiplies. Default `std`: the smaller dimension is projected. */
  readonly side?: Side;
  /**
   * `exact` decomposes the gradient, `randomized` iterates on a subspace of the wanted size, `auto` takes the exact way
   * where that is cheap. Default `auto`.
   */
  readonly method?: 'auto' | 'exact' | 'randomized';
  /** Start the randomized method from the basis of the refresh before. Default true. */
  readonly warmStart?: boolean;
  /** Subspace iterations of the randomized method, at least 1. Default 1 after a warm start, else 2. */
  readonly iterations?: number;
  /** Columns that the randomized method carries along and drops at the end. Default as in `leadingSubspace` of linalg. */
  readonly oversampling?: number;
  /**
   * true: basis vectors are the singular vectors in descending order; false: another basis of the same subspace, which
   * is cheaper. Default false from rank 64 on when there is a basis of the refresh before: its vectors are carried on, each
   * towards its singular vector and without a change of sign or order. Else as in `leadingSubspace` of linalg. Side
   * `full` always aligns.
   */
  readonly align?: boolean;
  /**
   * The share of ‖G‖² that the subspace is to keep, from 0 to 1: its rank is then the smallest that does, from `minRank` to
   * the one of `density` or `rank`, anew at each refresh. Default: always that of `density` or `rank`.
   */
  readonly energy?: number;
  /** The smallest rank with `energy`. Default 1. */
  readonly minRank?: number;
}

/**
 * The leading singular vectors of the gradient at the refresh, G = U Σ Vᵀ:
 *
 *     right: down(G) = G V_r (m × r), up(X) = X V_rᵀ     left: down(G) = U_rᵀ G (r × n), up(X) = U_r X
 *     full:  down(G) = U_rᵀ G V_r (r × r), up(X) = U_r X V_rᵀ
 *
 * At the refresh no other subspace of that size keeps more of G: ‖G - ΠG‖² = Σ_{i>r} σ_i² (Eckart–Young; the randomized
 * method comes close to it).
 *
 * r = round(ρ · projected dimension), ties to even and at most min(m, n); for `full` the smaller dimension counts. The
 * side follows from the option and the parameter alone. A factor with r equal to its dimension is left out: it stands
 * for the identity and nothing is decomposed. So `svd({ density: 1 })` with side `std` is the rule itself, whereas the
 * reference implementation still rotates the coordinates, in which Adam takes other steps. With `reverse_std` the larger
 * dimension is projected, and even r = min(m, n) covers only the gradient of the refresh.
 *
 * With Adam inside, prefer `std` to `full`: right after a refresh U_rᵀ G V_r is diagonal, its other entries are rounding
 * noise, and Adam makes full-size steps of them.
 *
 * A vector is defined up to its sign. At a refresh each gets the sign that is nearer to the vector before it at the same
 * place, so that state which is kept (`onRefresh: 'keep'`, GaLore) goes on with it: a sign that turned by chance would turn
 * its momentum against the gradient. Vectors of nearly equal singular values can still change places, or turn within
 * their plane; kept state then stays with the place. Where that matters, `align: false` with the randomized method
 * carries every vector on.
 *
 * With `energy` the size follows from the gradient: r is the smallest rank with ‖ΠG‖² ≥ energy · ‖G‖², at most that of
 * `density` or `rank`, for which memory is planned. A gradient of zeros takes `minRank`, and where the bound is less
 * than that, the bound is the rank. State starts anew where r changes.
 * A factor is not left out then, also where r is its dimension. Needs a backend whose numbers can be read at once.
 *
 * Basis: the float32 factors, r · dimension numbers each, saved with the state; nothing else of the decomposition stays.
 *
 * @param options `density` ρ ∈ [0, 1] (default 0.25) or a fixed `rank`; `side`; how to decompose; `energy` and `minRank`.
 * @throws InvalidOptionError for an unknown option, a value out of range, and from `check` for a rank above min(m, n).
 * @throws UnsupportedShapeError from `check`, for a parameter that is not a matrix.
 * @throws NonFiniteGradientError from `fit`, for a gradient with NaN or Inf (on backends that read back cheaply).
 *
 * Source: GaLore (arXiv 2403.03507); FRUGAL (arXiv 2411.07837), projection type "SVD".
 */
export function svd(options: SvdOptions = {}): Projector<DenseBasisName> {
  requireKnownKeys('svd', options, KNOWN);
  const size = requireSize('svd', options);
  const side = requireOneOf('svd.side', options.side ?? 'std', SIDES);
  const method = requireOneOf('svd.method', options.method ?? 'auto', ['auto', 'exact', 'randomized']);
  const warmStart = requireBoolean('svd.warmStart', options.warmStart ?? true);
  const { iterations, oversampling, align } = options;
  const tuning = {
    ...(iterations === undefined ? {} : { iterations: requireInteger('svd.iterations', iterations, 1) }),
    ...(oversampling === undefined ? {} : { oversampling: requireInteger('svd.oversampling', oversampling, 0) }),
    ...(align === undefined ? {} : { align: requireBoolean('svd.align', align) }),
  };
  const byEnergy = requireEnergy(options);
  const sizes = (site: Pick<Site, 'name' | 'shape'>): DenseSizes => {
    const found = denseSizes('svd', site, side, size, 'smaller');
    return byEnergy === null ? found : withAllFactors(found, site, side);
  };
  const fitted = (g: Tensor2D, site: Site, start: DenseBasis): Basis<DenseBasisName> => {
    if (byEnergy === null) return fitFactors(g, sizes(site), start, { method, ...tuning });
    requireReadable(site.name);
    const largest = fitFactors(g, sizes(site), start, { method, ...tuning, align: true });
    return cutTo(rankFor(g, largest, byEnergy), largest);
  };
  return {
    kind: 'svd',
    options: { ...size, side, method, warmStart, ...tuning, ...(byEnergy ?? {}) },
    traits: { orthonormal: true, coordinate: false, basisFrom: 'gradient' },
    revision: REVISION,
    check: site => void sizes(site),
    reducedShape: site => sizes(site).reducedShape,
    keeps: site => keptAxis('svd', site, side),
    basis: site => denseSpec(sizes(site)),
    ...(byEnergy === null ? {} : { shapeWith: shapeOfFactors }),
    fit: (g, previous, { site, revision = REVISION }) => {
      const start: DenseBasis = warmStart ? (previous ?? {}) : {};
      try {
        const next = fitted(g as Tensor2D, site, start);
        return previous === null || revision === 1 ? next : withSignsOf(previous, next);
      } catch (error) {
        throw error instanceof NonFiniteMatrixError ? notFinite(site.name) : error;
      }
    },
    down: denseDown,
    up: denseUp,
    upRows: denseUpRows,
    transport: denseTransport,
  };
}

const KNOWN = [
  'density',
  'rank',
  'side',
  'method',
  'warmStart',
  'iterations',
  'oversampling',
  'align',
  'energy',
  'minRank',
];

/** How a rank follows from the gradient. */
interface ByEnergy {
  readonly energy: number;
  readonly minRank: number;
}

/** Null where the rank is fixed. */
function requireEnergy({ energy, minRank, rank, align = true }: SvdOptions): ByEnergy | null {
  if (energy === undefined) {
    if (minRank === undefined) return null;
    throw new InvalidOptionError({
      parameter: 'svd.minRank',
      found: minRank,
      expected: 'no smallest rank without `energy`, as the rank is then fixed',
      advice: 'Give `energy`, such as 0.9, or leave `minRank` out.',
    });
  }
  if (!align) {
    throw new InvalidOptionError({
      parameter: 'svd.align',
      found: align,
      expected: 'true with `energy`, which keeps the first vectors and drops the last',
    });
  }
  if (rank !== undefined && minRank !== undefined && minRank > rank) {
    throw new InvalidOptionError({
      parameter: 'svd.minRank',
      found: minRank,
      expected: `at most \`rank\`, which is ${rank}`,
    });
  }
  return {
    energy: requireNumber('svd.energy', energy, '[0, 1]'),
    minRank: requireInteger('svd.minRank', minRank ?? 1, 1),
  };
}

/** A rank that follows from the gradient may be less than a dimension, so that there is always a factor. */
function withAllFactors(sizes: DenseSizes, { shape }: Pick<Site, 'shape'>, side: Side): DenseSizes {
  const kept = keptAxis('svd', { name: '', shape }, side);
  const [m, n] = shape as readonly [number, number];
  return { ...sizes, ...(kept === 'row' ? {} : { left: m }), ...(kept === 'column' ? {} : { right: n }) };
}

function shapeOfFactors({ left, right }: DenseBasis, { shape }: Site): readonly number[] {
  const [m, n] = shape as readonly [number, number];
  return [left === undefined ? m : left.shape[1]!, right === undefined ? n : right.shape[1]!];
}

/** @throws UnsupportedBackendError where the host cannot read how much a basis keeps. */
function requireReadable(name: string): void {
  if (backendTraits().readsAtOnce) return;
  throw new UnsupportedBackendError({
    parameter: `svd.energy at "${name}"`,
    found: 'a backend whose numbers cannot be read at once',
    expected: 'one on which the host can choose the rank before the update',
    advice: 'Leave `energy` out, which takes the rank of `density`, or train on another backend.',
  });
}

/** The smallest number of vectors that keep the share of the energy, of those that were found; within bounds. */
function rankFor(g: Tensor2D, basis: DenseBasis, { energy, minRank }: ByEnergy): number {
  const most = (basis.left ?? basis.right)!.shape[1]!;
  // Squares of entries of at most 1, which neither vanish nor overflow.
  const { all, kept } = tidy(() => {
    const unit = div(g, max(abs(g)));
    const low = square(denseDown(unit, basis));
    return { all: sum(sum(square(unit), 1)).dataSync()[0]!, kept: keep(low) };
  });
  const [rows, columns] = kept.shape as [number, number];
  const squares = kept.dataSync();
  kept.dispose();
  // Vector r adds what it keeps by itself and, with factors on both sides, together with those before it.
  let sumSoFar = 0;
  for (let r = 0; r < most; r++) {
    for (let i = 0; i < (basis.left === undefined ? rows : r + 1); i++) {
      if (basis.right !== undefined) sumSoFar += squares[i * columns + r]!;
    }
    for (let j = 0; j < (basis.right === undefined ? columns : r); j++) {
      if (basis.left !== undefined) sumSoFar += squares[r * columns + j]!;
    }
    // 1 - energy is what may be missed, so that rounding does not ask for a vector of nothing.
    if (all - sumSoFar <= (1 - energy) * all + ROUNDING * all) return Math.min(most, Math.max(minRank, r + 1));
  }
  return all > 0 ? most : Math.min(most, minRank);
}

/** A few units in the last place of float32, of a sum of squares. */
const ROUNDING = 1e-6;

/** The first vectors of a basis, which is freed. */
function cutTo(rank: number, basis: DenseBasis): Basis<DenseBasisName> {
  const first = (factor: Tensor): Tensor => {
    const cut = slice(factor as Tensor2D, [0, 0], [-1, rank]);
    factor.dispose();
    return cut;
  };
  const { left, right } = basis;
  return denseBasis({
    ...(left === undefined ? {} : { left: first(left) }),
    ...(right === undefined ? {} : { right: first(right) }),
  });
}

/** Revision 1 left every sign to the decomposition. */
const REVISION = 2;

/** The factors with each column towards the one before it, not away from it. */
function withSignsOf(previous: DenseBasis, fitted: DenseBasis): Basis<DenseBasisName> {
  const turned = (before: Tensor | undefined, after: Tensor | undefined): Tensor | undefined => {
    if (before === undefined || after === undefined || !sameShape(before.shape, after.shape)) return after;
    const result = tidy(() => {
      const inner = sum(mul(before, after), 0, true);
      return mul(after, where(less(inner, 0), scalar(-1), onesLike(inner)));
    });
    after.dispose();
    return result;
  };
  const [left, right] = [turned(previous.left, fitted.left), turned(previous.right, fitted.right)];
  return denseBasis({ ...(left === undefined ? {} : { left }), ...(right === undefined ? {} : { right }) });
}

/** From this rank on turning a warm basis into singular vectors costs more than a tenth of the refresh. */
const CARRIED_RANK = 64;

function fitFactors(
  g: Tensor2D,
  { rank, left, right }: DenseSizes,
  previous: DenseBasis,
  options: Omit<SubspaceOptions, 'rank' | 'start'>,
): Basis<DenseBasisName> {
  const from = (start: Tensor | undefined): SubspaceOptions => ({
    ...options,
    rank,
    ...(start === undefined ? {} : { start: start as Tensor2D, align: options.align ?? rank < CARRIED_RANK }),
  });
  if (left !== undefined && right !== undefined) {
    const { align: _, ...triplets } = from(previous.right);
    const { left: u, right: v, values } = leadingSingularTriplets(g, triplets);
    values.dispose();
    return denseBasis({ left: u, right: v });
  }
  if (left !== undefined) return denseBasis({ left: leadingSubspace(g, 'left', from(previous.left)) });
  if (right !== undefined) return denseBasis({ right: leadingSubspace(g, 'right', from(previous.right)) });
  return denseBasis({});
}

function notFinite(name: string): NonFiniteGradientError {
  return new NonFiniteGradientError({
    parameter: `gradient of "${name}"`,
    found: 'NaN or Inf',
    expected: 'finite numbers, of which singular vectors can be taken',
    advice: 'Lower the learning rate, clip, or skip such steps.',
  });
}
