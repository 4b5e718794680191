import { type Projector, requireKnownKeys } from '@frugaljs/core';
import { clone } from '@tensorflow/tfjs-core';

/**
 * Everything is in the subspace: down and up return what comes in, the residual is exactly 0 and the basis is empty.
 * The neutral element of composition: `subspace({ projector: identity(), rule })` is `rule`.
 *
 * @throws InvalidOptionError for any option; there are none.
 */
export function identity(options: Readonly<Record<string, never>> = {}): Projector<never> {
  requireKnownKeys('identity', options, []);
  return {
    kind: 'identity',
    options: {},
    traits: { orthonormal: true, coordinate: true, basisFrom: 'fixed' },
    reducedShape: ({ shape }) => shape,
    basis: () => ({}),
    fit: () => ({}),
    down: g => clone(g),
    up: x => clone(x),
  };
}
