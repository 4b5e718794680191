import { InvalidOptionError, type SiteMember } from '@frugaljs/core';

/** The blocks that the parameters of a group form: `of[i]` is the number of the block of member i. */
export interface BlockPartition {
  readonly count: number;
  readonly of: Int32Array;
}

// A name up to and including the number of its layer: "model.layers.3", "transformer.h.3", "block_3", and failing that
// the first number that stands on its own or ends a word, such as in "dense_3/kernel".
const LAYER = /^((?:.*?[._/])?(?:[a-z_]*(?:layer|block)s?|h)[._/]?\d+)(?=[._/]|$)/i;
const NUMBERED = /^(.*?[._/]?\d+)(?=[._/]|$)/;

/** Every member is a block of its own. */
export function matrixBlocks(members: readonly SiteMember[]): BlockPartition {
  return { count: members.length, of: Int32Array.from(members.keys()) };
}

/**
 * Members of the same layer form one block, numbered by the first appearance of the layer. With a pattern, members
 * belong together when what its groups capture (or, without groups, the whole match) is the same; without one, when
 * their names agree up to and including the number of the layer. A member that does not match is a block of its own.
 */
export function layerBlocks(members: readonly SiteMember[], pattern: RegExp | null): BlockPartition {
  const numbers = new Map<string, number>();
  let count = 0;
  const of = Int32Array.from(members, ({ name }) => {
    const layer = layerOf(name, pattern);
    if (layer === null) return count++;
    let number = numbers.get(layer);
    if (number === undefined) {
      number = count++;
      numbers.set(layer, number);
    }
    return number;
  });
  return { count, of };
}

/**
 * The regular expression of a `layerPattern`, given as one or as its source.
 *
 * @throws InvalidOptionError for a source that does not compile, or for flags, which the JSON options could not carry.
 */
export function requirePattern(parameter: string, pattern: string | RegExp): RegExp {
  if (pattern instanceof RegExp && pattern.flags !== '') {
    throw new InvalidOptionError({
      parameter,
      found: pattern,
      expected: 'a regular expression without flags',
      advice: 'Write both cases out, such as [Ll]ayer.',
    });
  }
  try {
    return new RegExp(pattern);
  } catch {
    throw new InvalidOptionError({ parameter, found: pattern, expected: 'the source of a regular expression' });
  }
}

function layerOf(name: string, pattern: RegExp | null): string | null {
  if (pattern === null) return (LAYER.exec(name) ?? NUMBERED.exec(name))?.[1] ?? null;
  const match = pattern.exec(name);
  if (match === null) return null;
  return match.length === 1 ? match[0] : match.slice(1).join('\u0000');
}
