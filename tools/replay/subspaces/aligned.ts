import type { Projector } from '@frugaljs/core';
import { cast, less, mul, sub, sum, type Tensor, type Tensor2D, tensor2d, tidy } from '@tensorflow/tfjs-core';
import type { RecordedFactors } from './recording.js';

/**
 * A projector whose basis vectors get the signs of recorded ones and are otherwise its own. Singular vectors are defined
 * up to their sign only, and state that survives a refresh keeps its coordinates but not their meaning.
 */
export function alignedTo(projector: Projector, recordedAt: (refreshIndex: number) => RecordedFactors): Projector {
  return {
    ...projector,
    kind: 'aligned',
    options: { projector: { kind: projector.kind, options: projector.options } },
    fit: (g, previous, context) => {
      const recorded = recordedAt(context.refreshIndex);
      const fitted = projector.fit(g, previous, context);
      return Object.fromEntries(
        Object.entries(fitted).map(([name, factor]) => {
          const turned = withSignsOf(factor as Tensor2D, recorded[name as 'left' | 'right']!);
          factor.dispose();
          return [name, turned];
        }),
      );
    },
  };
}

/** Multiplies every column by ±1 so that its inner product with the recorded column is not negative. */
function withSignsOf(factor: Tensor2D, recorded: readonly (readonly number[])[]): Tensor {
  return tidy(() => {
    const inner = sum(mul(factor, tensor2d(recorded.map(row => [...row]))), 0, true);
    return mul(factor, sub(1, mul(2, cast(less(inner, 0), 'float32'))));
  });
}
