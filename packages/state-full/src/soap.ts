import {
  requireBoolean,
  requireInteger,
  requireKnownKeys,
  requireNumber,
  type Shape,
  type TensorRule,
  type TensorSlotSpec,
  tensorRule,
} from '@frugaljs/core';
import { leadingSubspace, orthonormalize } from '@frugaljs/linalg';
import {
  add,
  div,
  divNoNan,
  gather,
  matMul,
  mul,
  sqrt,
  square,
  sum,
  type Tensor,
  type Tensor1D,
  type Tensor2D,
  topk,
  transpose,
} from '@tensorflow/tfjs-core';
import { basisOrNaN, bounded, requireMatrix, withLargestEntry1 } from './matrix-rules.js';

export interface SoapOptions {
  /** Decay of the first moment, in [0, 1). Default 0.95. */
  readonly beta1?: number;
  /** Decay of the second moment, in [0, 1). Default 0.95. */
  readonly beta2?: number;
  /** Decay of Shampoo's factors L and R, in [0, 1). Default 0.95. */
  readonly shampooBeta?: number;
  /** Added to the root before the correction of bias, at least 0. Default 1e-8. */
  readonly epsilon?: number;
  /** Steps between two changes of the basis, at least 1. Default 10. */
  readonly every?: number;
  /** A side with more rows (or columns) than this keeps its coordinates, and no factor. At least 0. Default 10,000. */
  readonly maxDimension?: number;
  /** Make up for moments that start at 0. Default true. */
  readonly biasCorrection?: boolean;
}

const KEYS = ['beta1', 'beta2', 'shampooBeta', 'epsilon', 'every', 'maxDimension', 'biasCorrection'];

/** Where a side is not rotated it has no slots. */
type Slot = 'm' | 'v' | 'leftFactor' | 'leftBasis' | 'rightFactor' | 'rightBasis';

/**
 * SOAP: Adam in the eigenbasis of Shampoo's factors. With P and Q the eigenvectors of L and R, by descending eigenvalue:
 *
 *     step 1:  L = (1 - β) g gᵀ,  R = (1 - β) gᵀ g,  P and Q by decomposition,  d = 0
 *     then, with s = t - 1 the steps of Adam:
 *     m ← β₁ m + (1 - β₁) g,   v ← β₂ v + (1 - β₂) (Pᵀ g Q)²
 *     d = P [Pᵀ m Q / (√v + ε)] Qᵀ · √(1 - β₂ˢ) / (1 - β₁ˢ)
 *     L ← β L + (1 - β) g gᵀ,   R ← β R + (1 - β) gᵀ g
 *     when s is a multiple of `every`: the columns of P in the order of diag(Pᵀ L P), and v with them, then
 *     P ← the Q factor of L P (one power iteration); likewise Q of R
 *
 * The first gradient makes the basis and takes no step, so that no gradient is measured in a basis of its own making.
 *
 * Matrices only: give vectors another rule, such as `adamW()`. State: `m` and `v`, one number per element each, and for each
 * side that is rotated a factor and a basis: 8 (m n + m² + n²) bytes. Of a gradient of low rank the basis is arbitrary
 * where L or R is 0. Entries beyond ±1e15 count as that, so that products stay within float32.
 *
 * A tensor rule: it needs a decomposition, runs as tfjs operations on every backend and is not fused.
 *
 * @throws InvalidOptionError for an unknown option or a value outside its interval; UnsupportedShapeError from
 *   `state(shape)` unless the rank is 2.
 * @see Vyas et al., SOAP: Improving and Stabilizing Shampoo using Adam, arXiv 2409.11321, Algorithm 3, and its public code,
 *   for the first step, the order of the basis and the place of ε.
 */
export function soap(options: SoapOptions = {}): TensorRule<Slot> {
  const filled = fillIn(options);
  const { beta1, beta2, shampooBeta, epsilon, every, maxDimension, biasCorrection } = filled;
  const rotates = (shape: Shape): readonly [boolean, boolean] => {
    const [rows, columns] = requireMatrix('soap', shape);
    return [rows <= maxDimension, columns <= maxDimension];
  };
  return tensorRule<Slot>({
    kind: 'soap',
    options: { ...filled },
    state: shape => {
      const [left, right] = rotates(shape);
      const [rows, columns] = shape as readonly [number, number];
      const factor = (size: number): TensorSlotSpec => ({ extent: { shape: [size, size] }, degree: 2 });
      const basis = (size: number): TensorSlotSpec => ({ extent: { shape: [size, size] } });
      const slots: Record<string, TensorSlotSpec> = {
        m: { extent: 'element' },
        // In the coordinates of the basis, so that it has nothing to do with the entries in its place.
        v: { extent: { shape }, degree: 2 },
        ...(left ? { leftFactor: factor(rows), leftBasis: basis(rows) } : {}),
        ...(right ? { rightFactor: factor(columns), rightBasis: basis(columns) } : {}),
      };
      return slots as Record<Slot, TensorSlotSpec>;
    },
    scalars: t => ({
      step: t - 1,
      correction: !biasCorrection || t === 1 ? 1 : Math.sqrt(1 - beta2 ** (t - 1)) / (1 - beta1 ** (t - 1)),
    }),
    step: ({ g: gradient, m, v, ...sides }, { step, correction }, shape) => {
      const g = bounded(gradient);
      const [left, right] = rotates(shape);
      const average = (previous: Tensor, next: Tensor): Tensor2D =>
        add(mul(previous, shampooBeta), mul(next, 1 - shampooBeta));
      const leftFactor = left ? average(sides.leftFactor, matMul(g, transpose(g))) : null;
      const rightFactor = right ? average(sides.rightFactor, matMul(transpose(g), g)) : null;
      if (step === 0) {
        return outputs({
          direction: mul(g, 0),
          m: mul(m, 1),
          v: mul(v, 1),
          leftFactor,
          leftBasis: leftFactor === null ? null : eigenvectors(leftFactor),
          rightFactor,
          rightBasis: rightFactor === null ? null : eigenvectors(rightFactor),
        });
      }

      const basis = new Basis(
        left ? (sides.leftBasis as Tensor2D) : null,
        right ? (sides.rightBasis as Tensor2D) : null,
      );
      const nextM: Tensor2D = add(mul(m, beta1), mul(g, 1 - beta1));
      const nextV: Tensor2D = add(mul(v, beta2), mul(square(basis.down(g)), 1 - beta2));
      const rotated = basis.down(nextM);
      const root: Tensor2D = sqrt(nextV);
      const quotient: Tensor2D = epsilon === 0 ? divNoNan(rotated, root) : div(rotated, add(root, epsilon));
      const moment = { direction: mul(basis.up(quotient), correction!), m: nextM };
      if (step! % every !== 0) {
        const kept = { leftBasis: copyOf(basis.left), rightBasis: copyOf(basis.right) };
        return outputs({ ...moment, v: nextV, leftFactor, rightFactor, ...kept });
      }
      const toLeft = leftFactor === null ? null : turned(leftFactor, basis.left!);
      const toRight = rightFactor === null ? null : turned(rightFactor, basis.right!);
      const byRow: Tensor = toLeft === null ? nextV : gather(nextV, toLeft.order, 0);
      return outputs({
        ...moment,
        v: toRight === null ? byRow : gather(byRow, toRight.order, 1),
        leftFactor,
        leftBasis: toLeft?.basis ?? null,
        rightFactor,
        rightBasis: toRight?.basis ?? null,
      });
    },
  });
}

/** Only the slots that there are. */
function outputs(values: Record<'direction' | Slot, Tensor | null>): Record<'direction' | Slot, Tensor> {
  const present = Object.entries(values).filter(([, value]) => value !== null);
  return Object.fromEntries(present) as Record<'direction' | Slot, Tensor>;
}

/** The outputs of a step are its own: a basis that stays is copied. */
function copyOf(x: Tensor2D | null): Tensor2D | null {
  return x === null ? null : mul<Tensor2D>(x, 1);
}

/** Orthonormal coordinates on either side; null leaves a side as it is. */
class Basis {
  constructor(
    readonly left: Tensor2D | null,
    readonly right: Tensor2D | null,
  ) {}

  down(x: Tensor2D): Tensor2D {
    const lower = this.left === null ? x : matMul<Tensor2D>(transpose(this.left), x);
    return this.right === null ? lower : matMul(lower, this.right);
  }

  up(x: Tensor2D): Tensor2D {
    const upper = this.left === null ? x : matMul<Tensor2D>(this.left, x);
    return this.right === null ? upper : matMul(upper, transpose(this.right));
  }
}

/** All eigenvectors of a factor, by descending eigenvalue: those of a symmetric matrix without negative ones. */
function eigenvectors(factor: Tensor2D): Tensor2D {
  const [size] = factor.shape;
  return basisOrNaN([size, size], () =>
    leadingSubspace(withLargestEntry1(factor), 'left', { rank: size, method: 'exact' }),
  );
}

/** The next basis of a factor, and which coordinate before is which one then. */
function turned(factor: Tensor2D, basis: Tensor2D): { readonly order: Tensor1D; readonly basis: Tensor2D } {
  const [size] = factor.shape;
  const image = matMul<Tensor2D>(withLargestEntry1(factor), basis);
  const eigenvalues: Tensor1D = sum(mul(basis, image), 0);
  const order = topk(eigenvalues, size).indices as Tensor1D;
  return { order, basis: basisOrNaN([size, size], () => orthonormalize(gather(image, order, 1))) };
}

function fillIn(options: SoapOptions): Required<SoapOptions> {
  requireKnownKeys('soap', options, KEYS);
  const {
    beta1 = 0.95,
    beta2 = 0.95,
    shampooBeta = 0.95,
    epsilon = 1e-8,
    every = 10,
    maxDimension = 10_000,
    biasCorrection = true,
  } = options;
  requireNumber('soap.beta1', beta1, '[0, 1)');
  requireNumber('soap.beta2', beta2, '[0, 1)');
  requireNumber('soap.shampooBeta', shampooBeta, '[0, 1)');
  requireNumber('soap.epsilon', epsilon, '[0, Infinity)');
  requireInteger('soap.every', every, 1);
  requireInteger('soap.maxDimension', maxDimension, 0);
  requireBoolean('soap.biasCorrection', biasCorrection);
  return { beta1, beta2, shampooBeta, epsilon, every, maxDimension, biasCorrection };
}
