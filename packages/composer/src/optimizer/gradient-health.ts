import { type KernelSet, NonFiniteGradientError } from '@frugaljs/core';
import { add, clipByValue, mul, square, sum, type Tensor, tidy } from '@tensorflow/tfjs-core';
import type { Clip, NonFinitePolicy } from './options.js';

interface NamedGradient {
  readonly name: string;
  readonly gradient: Tensor;
}

/** What one pass over all gradients finds: whether they are finite, and the factor that clips their norm. */
export interface GradientHealth {
  readonly finite: boolean;
  readonly factor: number;
}

/**
 * Reduces all gradients to one number (their sum of squares when the norm is clipped, else their sum), which is finite
 * only if every entry is. Only when it is not, the gradients are looked at one by one: finite entries may overflow it.
 *
 * @throws NonFiniteGradientError under the policy `throw`.
 */
export function examineGradients(
  gradients: readonly NamedGradient[],
  clip: Clip,
  policy: NonFinitePolicy,
  kernels: KernelSet | null,
): GradientHealth {
  const { value, globalNorm } = clip;
  if ((policy === 'ignore' && globalNorm === undefined) || gradients.length === 0) return { finite: true, factor: 1 };
  const total =
    kernels?.gradientSums(
      gradients.map(({ gradient }) => gradient),
      value,
    ).squares ??
    readScalar(() =>
      gradients
        .map(({ gradient }) => {
          if (globalNorm === undefined) return sum(gradient);
          return sum(square(value === undefined ? gradient : clipByValue(gradient, -value, value)));
        })
        .reduce((a, b) => add(a, b)),
    );
  if (policy !== 'ignore' && !Number.isFinite(total)) {
    const bad = gradients.find(({ gradient }) => hasNonFinite(gradient));
    if (bad !== undefined && policy === 'skip') return { finite: false, factor: 1 };
    if (bad !== undefined) {
      throw new NonFiniteGradientError({
        parameter: `gradient of "${bad.name}"`,
        found: 'NaN or Inf',
        expected: 'finite numbers',
        advice:
          'Lower the learning rate, clip, look for a log or division by 0 in the loss, or compose with onNonFinite: "skip".',
      });
    }
  }
  return { finite: true, factor: globalNorm === undefined ? 1 : Math.min(1, globalNorm / (Math.sqrt(total) + 1e-6)) };
}

/** x · 0 is 0 for finite x and NaN for NaN and ±Inf. */
function hasNonFinite(gradient: Tensor): boolean {
  return readScalar(() => sum(mul(gradient, 0))) !== 0;
}

function readScalar(compute: () => Tensor): number {
  const scalar = tidy(compute);
  try {
    return scalar.dataSync()[0]!;
  } finally {
    scalar.dispose();
  }
}
