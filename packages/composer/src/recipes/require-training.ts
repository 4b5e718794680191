import { type Projector, sizeOf, UnsupportedShapeError } from '@frugaljs/core';

/**
 * The same projector, which also refuses parameters of which its share rounds to nothing: with the rest dropped they
 * would stay as they are without a word.
 *
 * @param density The share; 0 is taken at its word.
 */
export function requireTraining(projector: Projector, density: number | undefined): Projector {
  if (density === 0) return projector;
  return {
    ...projector,
    check(site) {
      projector.check?.(site);
      const reduced = projector.reducedShape(site, 0);
      if (reduced !== null && sizeOf(reduced) > 0) return;
      throw new UnsupportedShapeError({
        parameter: `${projector.kind} at "${site.name}"`,
        found: `shape [${site.shape}], of which the share in the subspace rounds to nothing, and the rest is dropped`,
        expected: 'a parameter of which something is trained',
        advice: 'Raise the density, or leave such parameters out of `projectable`, so that the plain rule trains them.',
      });
    },
  };
}
