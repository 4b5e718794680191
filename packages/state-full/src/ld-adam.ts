import {
  InvalidOptionError,
  requireBoolean,
  requireInteger,
  requireKnownKeys,
  requireNumber,
  requireOneOf,
  roundHalfToEven,
  type Shape,
  type TensorRule,
  type TensorSlotSpec,
  tensorRule,
} from '@frugaljs/core';
import { leadingSubspace, orthonormalize } from '@frugaljs/linalg';
import {
  abs,
  add,
  div,
  divNoNan,
  matMul,
  mul,
  sqrt,
  square,
  sub,
  type Tensor,
  type Tensor2D,
  transpose,
} from '@tensorflow/tfjs-core';
import { basisOrNaN, bounded, requireMatrix, withLargestEntry1 } from './matrix-rules.js';

const SIDES = ['std', 'reverse_std', 'left', 'right'] as const;

export interface LdAdamOptions {
  /** Decay of the first moment, in [0, 1). Default 0.908. */
  readonly beta1?: number;
  /** Decay of the second moment, in [0, 1). Default 0.99. */
  readonly beta2?: number;
  /** Added to the denominator, at least 0. Default 1e-8. With 0, directions that never had a gradient do not move. */
  readonly epsilon?: number;
  /** The dimension of the subspace, at least 1 and at most the smaller one of the matrix; null: by density. */
  readonly rank?: number | null;
  /** The rank as a share of the projected dimension, in (0, 1]. Default 0.25 without `rank`. */
  readonly density?: number | null;
  /** Which dimension is projected: `std` the smaller one (the columns of a square), `reverse_std` the larger one. */
  readonly side?: (typeof SIDES)[number];
  /** κ: the share of the momentum in the matrix that the basis follows, in [0, 1). Default 0.908. */
  readonly interpolation?: number;
  /** Keep what the subspace misses for the next gradient. Default true. */
  readonly feedback?: boolean;
}

const KEYS = ['beta1', 'beta2', 'epsilon', 'rank', 'density', 'side', 'interpolation', 'feedback'];

/** The error takes part with feedback only. */
type Slot = 'basis' | 'm' | 'v' | 'error';

/**
 * LDAdam: Adam in a subspace that moves a little at every step, with moments that are carried along. For a basis P from
 * the left, m × r, with A = G + E:
 *
 *     t = 1:  P = the r leading left singular vectors of A
 *     t > 1:  B = κ P' m' / (1 - β₁ᵗ⁻¹) + (1 - κ) A,   P = the Q factor of B Bᵀ P'   (one power iteration)
 *     g = Pᵀ A,   C = Pᵀ P',   m̃ = C m'
 *     ṽ = c₂ |(C ⊙ C)(v' / c₂ - (m' / c₁)²) + (m̃ / c₁)²|   with c₁ = 1 - β₁ᵗ⁻¹, c₂ = 1 - β₂ᵗ⁻¹
 *     m = β₁ m̃ + (1 - β₁) g,   v = β₂ ṽ + (1 - β₂) g²
 *     E ← A - P g + β₁ / (1 - β₁) (P' m' - P m̃)
 *     d = P · m / (1 - β₁ᵗ) / (√v / √(1 - β₂ᵗ) + ε)
 *
 * where P', m', v' are those of the step before; from the right (n × r) it is the same for the transposed matrix. Without
 * `feedback`, A = G and there is no E. With a basis that stays the same it is Adam in a subspace. Signs of the basis
 * vectors change nothing.
 *
 * Matrices only: give vectors another rule, such as `adamW({ beta1: 0.908, beta2: 0.99 })`. State: `basis`, r times the
 * projected dimension, `m` and `v`, r times the other one each, and with feedback `error`, one number per element: more
 * than plain momentum keeps. Entries of A beyond ±1e15 count as that, so that squares stay within float32.
 *
 * A tensor rule: it needs a decomposition, runs as tfjs operations on every backend and is not fused.
 *
 * @throws InvalidOptionError for an unknown option, a value outside its interval, and from `state(shape)` for a rank above
 *   the smaller dimension; UnsupportedShapeError from `state(shape)` unless the rank of the tensor is 2.
 * @see Robert et al., LDAdam: Adaptive Optimization from Low-Dimensional Gradient Statistics, arXiv 2410.16103, Algorithm
 *   1, and its public code.
 */
export function ldAdam(options: LdAdamOptions = {}): TensorRule<Slot> {
  const filled = fillIn(options);
  const { beta1, beta2, epsilon, interpolation, feedback } = filled;
  return tensorRule<Slot>({
    kind: 'ldAdam',
    options: { ...filled },
    state: shape => {
      const { dimension, rank, reduced } = sizesOf(filled, shape);
      const slots: Record<string, TensorSlotSpec> = {
        basis: { extent: { shape: [dimension, rank] } },
        m: { extent: { shape: reduced } },
        v: { extent: { shape: reduced }, degree: 2 },
        // Not state of an entry: it has what the subspace makes of the other ones, and stays with the basis.
        ...(feedback ? { error: { extent: { shape } } } : {}),
      };
      return slots as Record<Slot, TensorSlotSpec>;
    },
    scalars: t => ({
      bias1: 1 - beta1 ** t,
      bias2: 1 - beta2 ** t,
      previousBias1: 1 - beta1 ** (t - 1),
      previousBias2: 1 - beta2 ** (t - 1),
    }),
    step: ({ g: gradient, basis, m, v, error }, scalars, shape) => {
      const { side, dimension, rank } = sizesOf(filled, shape);
      const from = new Subspace(side, basis as Tensor2D);
      const a = bounded(feedback ? add(gradient, error) : gradient);
      const [c1, c2] = [scalars['previousBias1']!, scalars['previousBias2']!];
      const isFirst = c1 === 0;
      const momentum = from.up(m);
      const followed = isFirst ? a : add(mul(momentum, interpolation / c1), mul(a, 1 - interpolation));
      const fitted = basisOrNaN([dimension, rank], () => {
        const scaled = withLargestEntry1(followed);
        return isFirst ? leadingSubspace(scaled, side, { rank }) : from.iterated(scaled);
      });

      const to = new Subspace(side, fitted);
      const low = to.down(a);
      const change = to.changeFrom(from);
      const carried = side === 'left' ? matMul(change, m as Tensor2D) : matMul(m as Tensor2D, transpose(change));
      const carriedV = isFirst ? v : carriedSecondMoment(side, square(change), m, v, carried, c1, c2);
      const nextM = add(mul(carried, beta1), mul(low, 1 - beta1));
      const nextV = add(mul(carriedV, beta2), mul(square(low), 1 - beta2));
      const root = sqrt(div(nextV, scalars['bias2']!));
      const corrected = div(nextM, scalars['bias1']!);
      const direction = to.up(epsilon === 0 ? divNoNan(corrected, root) : div(corrected, add(root, epsilon)));
      const next = { direction, basis: fitted, m: nextM, v: nextV };
      if (!feedback) return next as typeof next & { error: Tensor };
      const lost = sub(momentum, to.up(carried));
      return { ...next, error: add(sub(a, to.up(low)), mul(lost, beta1 / (1 - beta1))) };
    },
  });
}

/** ṽ = c₂ |(C ⊙ C)(v / c₂ - (m / c₁)²) + (m̃ / c₁)²|: the variance moves like squares do, the mean as it moved. */
function carriedSecondMoment(
  side: 'left' | 'right',
  squares: Tensor2D,
  m: Tensor,
  v: Tensor,
  carried: Tensor,
  c1: number,
  c2: number,
): Tensor {
  const variance = sub(div(v, c2), square(div(m, c1))) as Tensor2D;
  const moved = side === 'left' ? matMul(squares, variance) : matMul(variance, transpose(squares));
  return mul(abs(add(moved, square(div(carried, c1)))), c2);
}

/** A basis, and the side from which it multiplies. Products have explicit transposes, which are faster on wasm. */
class Subspace {
  constructor(
    private readonly side: 'left' | 'right',
    private readonly basis: Tensor2D,
  ) {}

  down(full: Tensor): Tensor2D {
    if (this.side === 'right') return matMul(full as Tensor2D, this.basis);
    return matMul(transpose(this.basis), full as Tensor2D);
  }

  up(low: Tensor): Tensor2D {
    if (this.side === 'right') return matMul(low as Tensor2D, transpose(this.basis));
    return matMul(this.basis, low as Tensor2D);
  }

  /** C, which takes coordinates in another subspace to coordinates in this one. */
  changeFrom(other: Subspace): Tensor2D {
    return matMul(transpose(this.basis), other.basis);
  }

  /** The next basis by one power iteration on a matrix. */
  iterated(matrix: Tensor2D): Tensor2D {
    const transposed = transpose(matrix);
    const [near, far] = this.side === 'left' ? [matrix, transposed] : [transposed, matrix];
    return orthonormalize(matMul(near, matMul(far, this.basis)));
  }
}

interface Sizes {
  readonly side: 'left' | 'right';
  /** The dimension that is projected. */
  readonly dimension: number;
  readonly rank: number;
  readonly reduced: Shape;
}

function sizesOf({ side: named, rank, density }: Required<LdAdamOptions>, shape: Shape): Sizes {
  const [rows, columns] = requireMatrix('ldAdam', shape);
  const isWide = rows < columns;
  const side =
    named === 'std' ? (isWide ? 'left' : 'right') : named === 'reverse_std' ? (isWide ? 'right' : 'left') : named;
  const dimension = side === 'left' ? rows : columns;
  const smaller = Math.min(rows, columns);
  if (rank !== null && rank > smaller) {
    throw new InvalidOptionError({
      parameter: 'ldAdam.rank',
      found: rank,
      expected: `at most ${smaller}, the smaller dimension of ${rows} × ${columns}`,
      advice: 'Lower the rank, give a density instead, or put this parameter in another group.',
    });
  }
  const kept = rank ?? Math.min(smaller, Math.max(1, roundHalfToEven(density! * dimension)));
  return { side, dimension, rank: kept, reduced: side === 'left' ? [kept, columns] : [rows, kept] };
}

function fillIn(options: LdAdamOptions): Required<LdAdamOptions> {
  requireKnownKeys('ldAdam', options, KEYS);
  const {
    beta1 = 0.908,
    beta2 = 0.99,
    epsilon = 1e-8,
    rank = null,
    density = rank === null ? 0.25 : null,
    side = 'std',
    interpolation = 0.908,
    feedback = true,
  } = options;
  requireNumber('ldAdam.beta1', beta1, '[0, 1)');
  requireNumber('ldAdam.beta2', beta2, '[0, 1)');
  requireNumber('ldAdam.epsilon', epsilon, '[0, Infinity)');
  if (rank !== null) requireInteger('ldAdam.rank', rank, 1);
  if (density !== null) requireNumber('ldAdam.density', density, '(0, 1]');
  requireOneOf('ldAdam.side', side, SIDES);
  requireNumber('ldAdam.interpolation', interpolation, '[0, 1)');
  requireBoolean('ldAdam.feedback', feedback);
  if ((rank === null) !== (density === null)) {
    return { beta1, beta2, epsilon, rank, density, side, interpolation, feedback };
  }
  throw new InvalidOptionError({
    parameter: 'ldAdam.density',
    found: density,
    expected: rank === null ? 'a number in (0, 1], as there is no rank' : 'none beside a rank',
    advice: 'Give either a rank or a density.',
  });
}
