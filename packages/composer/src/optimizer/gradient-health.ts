import { type KernelSet, NonFiniteGradientError } from '@frugaljs/core';
import { add, clipByValue, mul, square, sum, type Tensor, tidy } from '@tensorflow/tfjs-core';
import type { Clip, NonFinitePolicy } from './options.js';

interface NamedGradient {
  readonly name: string;
  readonly gradient: Tensor;
}

/** Makes the squares of the largest numbers finite. */
const SMALL: number = 2 ** -80;

/** What a pass over all gradients finds: whether they are finite, and the factor that clips their norm. */
export interface GradientHealth {
  readonly finite: boolean;
  readonly factor: number;
}

/**
 * Makes at most one pass over the gradients before an update: for their norm when it is clipped, which tells of NaN and
 * Inf too, else to look for those alone.
 *
 * @throws NonFiniteGradientError under the policy `throw`.
 */
export function examineGradients(
  gradients: readonly NamedGradient[],
  { value, globalNorm }: Clip,
  policy: NonFinitePolicy,
  kernels: KernelSet | null,
): GradientHealth {
  if (gradients.length === 0) return { finite: true, factor: 1 };
  const squares = globalNorm === undefined ? null : sumSquares(gradients, value, kernels);
  // A sum of squares that is not finite may also have overflowed.
  if (policy !== 'ignore' && (squares === null || !Number.isFinite(squares))) {
    const bad = findNonFinite(gradients, kernels);
    if (bad !== undefined && policy === 'skip') return { finite: false, factor: 1 };
    if (bad !== undefined) throw nonFiniteGradient(bad.name);
  }
  if (squares === null) return { finite: true, factor: 1 };
  const norm = Number.isFinite(squares) ? Math.sqrt(squares) : largeNorm(gradients, value);
  return { finite: true, factor: Math.min(1, globalNorm! / (norm + 1e-6)) };
}

/** The error about a gradient that is not finite. */
export function nonFiniteGradient(name: string): NonFiniteGradientError {
  return new NonFiniteGradientError({
    parameter: `gradient of "${name}"`,
    found: 'NaN or Inf',
    expected: 'finite numbers',
    advice:
      'Lower the learning rate, clip, look for a log or division by 0 in the loss, or compose with onNonFinite: "skip".',
  });
}

function sumSquares(
  gradients: readonly NamedGradient[],
  clipValue: number | undefined,
  kernels: KernelSet | null,
): number {
  if (kernels?.sumSquares !== undefined) {
    return kernels.sumSquares(
      gradients.map(({ gradient }) => gradient),
      clipValue,
    );
  }
  return readScalar(() => sumSquaresOf(gradients.map(({ gradient }) => limited(gradient, clipValue))));
}

/** The norm when the sum of the squares, but no entry, has overflowed. */
function largeNorm(gradients: readonly NamedGradient[], clipValue: number | undefined): number {
  const scaled = readScalar(() =>
    sumSquaresOf(gradients.map(({ gradient }) => mul(limited(gradient, clipValue), SMALL))),
  );
  return Math.sqrt(scaled) / SMALL;
}

function limited(gradient: Tensor, clipValue: number | undefined): Tensor {
  return clipValue === undefined ? gradient : clipByValue(gradient, -clipValue, clipValue);
}

function sumSquaresOf(tensors: readonly Tensor[]): Tensor {
  return tensors.map(tensor => sum(square(tensor))).reduce((a, b) => add(a, b));
}

function findNonFinite(gradients: readonly NamedGradient[], kernels: KernelSet | null): NamedGradient | undefined {
  if (kernels?.isFinite !== undefined) {
    const isBad = ({ gradient }: NamedGradient): boolean => !kernels.isFinite!(gradient);
    // From the last to the first: the update begins with the first, which then still lies in a cache.
    return [...gradients].reverse().some(isBad) ? gradients.find(isBad) : undefined;
  }
  // One read for all: x · 0 is 0 for finite x and NaN for NaN and ±Inf.
  const zeros = readScalar(() => gradients.map(({ gradient }) => sum(mul(gradient, 0))).reduce((a, b) => add(a, b)));
  if (zeros === 0) return undefined;
  return gradients.find(({ gradient }) => readScalar(() => sum(mul(gradient, 0))) !== 0);
}

function readScalar(compute: () => Tensor): number {
  const scalar = tidy(compute);
  try {
    return scalar.dataSync()[0]!;
  } finally {
    scalar.dispose();
  }
}
