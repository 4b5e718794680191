import {
  type ExpressionRule,
  expressionRule,
  InvalidOptionError,
  requireBoolean,
  requireKnownKeys,
  requireNumber,
  requireOneOf,
  type Shape,
  type SlotSpec,
  type Value,
} from '@frugaljs/core';
import { adaptiveDirection, factoredRoot, movingAverage } from './moments.js';

export interface AdafactorOptions {
  /** Exponent p of the decay β̂₂ = 1 - tᵖ, in [-10, 0]. Default -0.8. */
  readonly decayExponent?: number;
  /** ε₁, added to every square, at least 1e-37 (the range of float32). Default 1e-30. */
  readonly epsilon1?: number;
  /** ε₂, the smallest root mean square of a parameter that `scaleParameter` takes. Default 1e-3. */
  readonly epsilon2?: number;
  /** Largest root mean square of the direction before momentum, above 0. Default 1. */
  readonly clipThreshold?: number;
  /** Decay of the momentum, in [0, 1); `null` for none. Default null. */
  readonly beta1?: number | null;
  /** Multiply by max(ε₂, RMS(W)). Such a rule works on whole parameters only, not in a subspace. Default false. */
  readonly scaleParameter?: boolean;
  /** Multiply by a step size of its own, min(10⁻², 1/√t); the learning rate is then usually 1. Default false. */
  readonly relativeStep?: boolean;
  /** Let that step size start as 10⁻⁶ t. Needs `relativeStep`. Default false. */
  readonly warmupInit?: boolean;
}

const KEYS = [
  'decayExponent',
  'epsilon1',
  'epsilon2',
  'clipThreshold',
  'beta1',
  'scaleParameter',
  'relativeStep',
  'warmupInit',
];

/**
 * Adafactor: the second moment of a matrix is kept as the means of its rows and columns.
 *
 *     Q = g² + ε₁,   β̂₂ = 1 - tᵖ
 *     r ← β̂₂ r + (1 - β̂₂) row means of Q,   c ← β̂₂ c + (1 - β̂₂) column means of Q,   V̂ = r cᵀ / mean(r)
 *     x = g / √V̂,   x ← x / max(1, RMS(x) / clip),   x ← α x
 *     d = x,   or with `beta1`: m ← β₁ m + (1 - β₁) x, d = m
 *
 * where α = 1, times max(ε₂, RMS(W)) with `scaleParameter`, times min(10⁻², 1/√t) with `relativeStep`. V̂ is exact when
 * V has rank one. The momentum averages scaled directions, without bias correction. Hugging Face's code
 * scales by the learning rate before it averages and here the optimizer does so after; the two agree while the learning
 * rate is constant. There `scaleParameter` and `relativeStep` are true by default.
 *
 * State: `r` per row and `c` per column, 4 (rows + columns) bytes, from rank 2 on; tensors of rank above 2 are taken as
 * matrices with the last axis as columns. Vectors and scalars keep a full `v`, 4 bytes per element. With `beta1` also
 * `m`, 4 bytes per element.
 *
 * @throws InvalidOptionError for an unknown option, a value outside its interval or `warmupInit` without `relativeStep`.
 * @see Shazeer and Stern, Adafactor, arXiv 1804.04235, Algorithms 4, 5 and 6.
 */
export function adafactor(options: AdafactorOptions = {}): ExpressionRule {
  requireKnownKeys('adafactor', options, KEYS);
  const filled = fillIn(options);
  const { decayExponent, epsilon1, epsilon2, clipThreshold, beta1, scaleParameter, relativeStep, warmupInit } = filled;
  return expressionRule<string, 'beta2' | 'complement' | 'stepSize'>({
    kind: 'adafactor',
    options: filled,
    reads: scaleParameter ? ['parameter'] : [],
    state: shape => adafactorSlots(shape, beta1 !== null),
    scalars: t => ({
      beta2: 1 - t ** decayExponent,
      complement: t ** decayExponent,
      stepSize: relativeStep ? Math.min(warmupInit ? 1e-6 * t : 1e-2, 1 / Math.sqrt(t)) : 1,
    }),
    step: (x, shape) => {
      const { g, beta2, complement, stepSize } = x;
      const squares = g.square().add(epsilon1);
      const average = (previous: Value, next: Value): Value => previous.mul(beta2).add(next.mul(complement));
      const next: Record<string, Value> = {};
      let scaled: Value;
      if (shape.length < 2) {
        next['v'] = average(x['v']!, squares);
        scaled = g.div(next['v'].sqrt());
      } else {
        next['r'] = average(x['r']!, squares.mean('row'));
        next['c'] = average(x['c']!, squares.mean('column'));
        const { row, column } = factoredRoot(next['r'], next['c']);
        scaled = g.mul(row.reciprocal()).mul(column.reciprocal());
      }
      const rms = scaled.square().mean().sqrt();
      let size: Value = rms.div(clipThreshold).maximum(1).reciprocal();
      if (relativeStep) size = size.mul(stepSize);
      if (scaleParameter) size = size.mul(x.parameter!.square().mean().sqrt().maximum(epsilon2));
      const direction = scaled.mul(size);
      if (beta1 === null) return { direction, ...next };
      const m = movingAverage(x['m']!, direction, beta1);
      return { direction: m, ...next, m };
    },
  });
}

function adafactorSlots(shape: Shape, momentum: boolean): Record<string, SlotSpec> {
  return {
    ...(momentum ? { m: { extent: 'element' } } : {}),
    ...(shape.length >= 2
      ? { r: { extent: 'row', degree: 2 }, c: { extent: 'column', degree: 2 } }
      : { v: { extent: 'element', degree: 2 } }),
  };
}

function fillIn(options: AdafactorOptions): Required<AdafactorOptions> {
  const {
    decayExponent = -0.8,
    epsilon1 = 1e-30,
    epsilon2 = 1e-3,
    clipThreshold = 1,
    beta1 = null,
    scaleParameter = false,
    relativeStep = false,
    warmupInit = false,
  } = options;
  requireNumber('adafactor.decayExponent', decayExponent, '[-10, 0]');
  requireNumber('adafactor.epsilon1', epsilon1, '[1e-37, Infinity)');
  requireNumber('adafactor.epsilon2', epsilon2, '[0, Infinity)');
  requireNumber('adafactor.clipThreshold', clipThreshold, '(0, Infinity)');
  if (beta1 !== null) requireNumber('adafactor.beta1', beta1, '[0, 1)');
  requireBoolean('adafactor.scaleParameter', scaleParameter);
  requireBoolean('adafactor.relativeStep', relativeStep);
  requireBoolean('adafactor.warmupInit', warmupInit);
  if (warmupInit && !relativeStep) {
    throw new InvalidOptionError({
      parameter: 'adafactor.warmupInit',
      found: true,
      expected: 'false without relativeStep',
      advice: 'Use a learning rate schedule with warm-up instead.',
    });
  }
  return { decayExponent, epsilon1, epsilon2, clipThreshold, beta1, scaleParameter, relativeStep, warmupInit };
}

export interface OneSidedAdafactorOptions {
  /** Decay of the second moment, in [0, 1). Default 0.999. */
  readonly beta2?: number;
  /** Added to the denominator, at least 0. Default 1e-8. */
  readonly epsilon?: number;
  /** Which side keeps its second moment. Default `row`. */
  readonly per?: 'row' | 'column';
}

/**
 * One-sided Adafactor: the gradient divided by a running root mean square of its row (or column), no momentum.
 *
 *     v ← β₂ v + (1 - β₂) mean over the row of g²,   d = g / (√v / √(1 - β₂ᵗ) + ε)
 *
 * The first d has root mean square 1 in every row. AdaMeM steps with it on the residual. Sources that keep the sum u
 * of the squares divide by √(u / n), which is the same.
 *
 * Any shape; tensors of rank above 2 have the last axis as columns, vectors are one row. State: `v` per row (column),
 * 4 bytes each: next to nothing, so it can serve where a state-free rule is wanted.
 *
 * @throws InvalidOptionError for an unknown option or a value outside its interval.
 * @see Vyas et al., AdaMeM: Memory Efficient Momentum for Adafactor, 2024.
 */
export function oneSidedAdafactor(options: OneSidedAdafactorOptions = {}): ExpressionRule<'v'> {
  requireKnownKeys('oneSidedAdafactor', options, ['beta2', 'epsilon', 'per']);
  const { beta2 = 0.999, epsilon = 1e-8, per = 'row' } = options;
  requireNumber('oneSidedAdafactor.beta2', beta2, '[0, 1)');
  requireNumber('oneSidedAdafactor.epsilon', epsilon, '[0, Infinity)');
  requireOneOf('oneSidedAdafactor.per', per, ['row', 'column']);
  return expressionRule({
    kind: 'oneSidedAdafactor',
    options: { beta2, epsilon, per },
    state: () => ({ v: { extent: per, degree: 2 } }),
    scalars: t => ({ scale: 1, correction: 1 / Math.sqrt(1 - beta2 ** t) }),
    step: ({ g, v, scale, correction }) => {
      const next = movingAverage(v, g.square().mean(per), beta2);
      return { direction: adaptiveDirection(g, scale, next.sqrt().mul(correction), epsilon), v: next };
    },
  });
}
