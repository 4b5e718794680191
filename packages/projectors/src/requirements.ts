import {
  InvalidOptionError,
  requireInteger,
  requireNumber,
  type Shape,
  type Site,
  UnsupportedShapeError,
} from '@frugaljs/core';

// What projectors ask of their options and of the parameter they are to work on.

/** How much of a parameter a coordinate projector covers. */
export interface DensityOptions {
  /** Share ρ of the parameter that is in the subspace, from 0 to 1. Default 0.25. */
  readonly density?: number;
}

/** How large the subspace of a dense projector is: at most one of the two. */
export interface RankOptions extends DensityOptions {
  /** A fixed rank r instead of a density. */
  readonly rank?: number;
}

/** The size a projector was given, ready to be part of its JSON options. */
export type SizeOption = { readonly density: number } | { readonly rank: number };

const DEFAULT_DENSITY = 0.25;

/**
 * Checks a density and fills in the default.
 *
 * @throws InvalidOptionError outside [0, 1].
 */
export function requireDensity(owner: string, { density = DEFAULT_DENSITY }: DensityOptions): number {
  return requireNumber(`${owner}.density`, density, '[0, 1]');
}

/**
 * Checks a density or a rank and fills in the default density.
 *
 * @throws InvalidOptionError when both are given, or one is out of range.
 */
export function requireSize(owner: string, options: RankOptions): SizeOption {
  if (options.rank === undefined) return { density: requireDensity(owner, options) };
  if (options.density !== undefined) {
    throw new InvalidOptionError({
      parameter: `${owner}.rank`,
      found: `rank ${options.rank} and density ${options.density}`,
      expected: 'a rank or a density, not both',
    });
  }
  return { rank: requireInteger(`${owner}.rank`, options.rank, 0) };
}

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
