import { listRecipes } from '@frugaljs/composer';
import { didYouMean, UnknownNameError } from '@frugaljs/core';

/**
 * The recipe that a user means, upper and lower case apart.
 *
 * @throws UnknownNameError with the names of all recipes.
 */
export function recipeName(name: string): string {
  const known = listRecipes().find(each => each.toLowerCase() === name.toLowerCase());
  if (known !== undefined) return known;
  throw new UnknownNameError({
    parameter: 'optimizer',
    found: name,
    expected: `one of ${listRecipes().join(', ')}`,
    ...didYouMean(name, listRecipes()),
  });
}
