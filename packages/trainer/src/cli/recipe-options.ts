import type { Json } from '@frugaljs/core';
import { type JsonObject, parseOption } from '../comparison/method.js';

/** The flags of the command line that are options of a recipe. */
export interface RecipeFlags {
  readonly density?: number;
  readonly projector?: string;
  readonly updateGap?: number;
  readonly weightDecay?: number;
  readonly clip?: number;
  readonly nonFinite?: string;
  readonly accumulate: number;
  /** `option=value`, any number of them. */
  readonly set?: readonly string[];
}

/**
 * Options for a recipe, without learning rate and seed. A flag that the recipe has no use for is passed on all the same,
 * so that the recipe can say so.
 */
export function recipeOptions(name: string, flags: RecipeFlags): JsonObject {
  const { density, projector, updateGap, weightDecay, clip, nonFinite, accumulate, set = [] } = flags;
  const options: { [key: string]: Json | undefined } = {
    density,
    projector,
    [name === 'badam' ? 'switchEvery' : 'updateGap']: updateGap,
    weightDecay,
    clip: clip === undefined ? undefined : { globalNorm: clip },
    onNonFinite: nonFinite,
    accumulate: accumulate === 1 ? undefined : accumulate,
    ...Object.fromEntries(set.map(text => parseOption(text, 'set'))),
  };
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined));
}
