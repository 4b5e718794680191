import { InvalidOptionError, requireInteger, requireNumber } from '@frugaljs/core';

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
