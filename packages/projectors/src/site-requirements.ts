import { type Shape, type Site, sizeOf, UnsupportedShapeError } from '@frugaljs/core';

const TO_ANOTHER_GROUP =
  'Give such parameters a group of their own, for example with the plain rule, before the group that uses this projector.';

/** Throws unless the parameter has at least `minimum` axes. */
export function requireAxes(kind: string, site: Site, minimum: number, why: string): void {
  if (site.shape.length >= minimum) return;
  throw new UnsupportedShapeError({
    parameter: `${kind} at "${site.name}"`,
    found: `shape [${site.shape}]`,
    expected: `at least ${minimum} ${minimum === 1 ? 'axis' : 'axes'}, because ${why}`,
    advice: TO_ANOTHER_GROUP,
  });
}

/** Throws unless int32 indices reach every entry of the parameter. */
export function requireIndexable(kind: string, site: Site): void {
  const size = sizeOf(site.shape);
  if (size <= 2 ** 31) return;
  throw new UnsupportedShapeError({
    parameter: `${kind} at "${site.name}"`,
    found: `${size} entries, shape [${site.shape}]`,
    expected: 'at most 2^31 entries, because int32 indices count no further',
    advice: 'Choose whole rows or columns of such a parameter instead of entries.',
  });
}

/** The shape of a parameter that must be a matrix. */
export function requireMatrix(kind: string, name: string, shape: Shape): readonly [rows: number, columns: number] {
  if (shape.length === 2) return shape as unknown as readonly [number, number];
  throw new UnsupportedShapeError({
    parameter: `${kind} at "${name}"`,
    found: `shape [${shape}]`,
    expected: 'a matrix (2 axes), because the subspace is made of singular or other basis vectors of a matrix',
    advice: TO_ANOTHER_GROUP,
  });
}
