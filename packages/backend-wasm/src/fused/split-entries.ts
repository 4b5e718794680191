import { type Code, i32, type Local, repeatWhile, select, sequence, when } from '@frugaljs/wasm-assembly';
import { entryAt, listedEntry, type SplitParts } from './split-parts.js';
import { defineListed } from './tier-listed.js';
import { defineRun } from './tier-run.js';

/** Entries that are updated before their neighbors, so that they stay in the cache; a power of two. */
export const CHUNK = 4096;

/** Chunk by chunk all entries are updated by the rest, then the listed ones anew from their former values. */
export function driveEntries({ module, scope, rows, columns, scratch, listed, rest }: SplitParts): Code {
  const [start, size, total, at, old] = scope.locals('i32', 5) as [Local, Local, Local, Local, Local];
  const tiers = listed.map(part => ({
    ...part,
    run: defineListed(module, part.name, part.tier),
    /** Entries of the list before the chunk and in it. */
    done: scope.local('i32'),
    here: scope.local('i32'),
    jump: scope.local('i32'),
  }));
  const runRest = defineRun(module, rest.name, rest.tier, true);
  /** Finds how many entries of a list lie in the chunk, by jumps of all powers of two. */
  const find = (tier: (typeof tiers)[number]): Code => {
    const { done, here, jump } = tier;
    const { exists, index } = listedEntry(tier, i32.add(i32.add(done, here), i32.sub(jump, 1)));
    return sequence(
      here.set(0),
      jump.set(CHUNK),
      repeatWhile(
        jump,
        when(i32.and(i32.ltU(index, i32.add(start, size)), exists), here.advance(jump)),
        jump.set(i32.shrU(jump, 1)),
      ),
    );
  };
  const part = CHUNK / runRest.width;
  const places = Array.from({ length: runRest.width }, (_, i) => i32.add(at, 4 * part * i));
  return sequence(
    total.set(i32.mul(rows, columns)),
    repeatWhile(
      i32.ltU(start, total),
      size.set(i32.sub(total, start)),
      size.set(select(CHUNK, size, i32.gtU(size, CHUNK))),
      at.set(i32.shl(start, 2)),
      old.set(i32.sub(scratch, at)),
      when(
        i32.eq(size, CHUNK),
        runRest.abreast(part, old, ...places, ...places.map(() => 0), ...rest.args),
        runRest.single(size, old, at, 0, ...rest.args),
      ),
      ...tiers.flatMap(tier => {
        const { run, list, done, here, args } = tier;
        return [find(tier), run(entryAt(list, done), here, old, 0, i32.shl(done, 2), ...args), done.advance(here)];
      }),
      start.advance(size),
    ),
  );
}
