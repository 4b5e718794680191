import {
  type Code,
  type FunctionScope,
  i32,
  type Local,
  type Operand,
  repeatWhile,
  select,
  sequence,
} from '@frugaljs/wasm-assembly';

/** Vectors in a page of memory. */
const PAGE = 256;
/** From this many vectors per place on, places lie differently in their pages. */
const LONG = 4 * PAGE;
/** Where in its page the next place starts, in vectors. */
const SHIFT = 68;

/**
 * Visits `count` float32 entries at several places at the same time: the first quarter, say, together with the second,
 * third and fourth. A processor fetches ahead within a page (4 KiB), so one walk through memory waits at the start of
 * every page, and several walks wait at the same time. Measured on 4 MiB arrays, four places instead of one took a pass
 * that reads from 5.3 to 2.7 ms, one of signSGD from 10.9 to 7.4 and one of AdamW, which walks through four arrays as
 * it is, from 16.9 to 14.9.
 *
 * Places are kept off a common position in their pages, where they would compete for the same lines of the cache.
 *
 * @param start What the byte offsets count from: 0, or the address of a single array.
 * @param count Entries; counted down to 0.
 * @param places A power of two.
 * @param vectors Code for four entries at each of these byte offsets: all places, or a single one for the end.
 * @param single Code for one entry.
 */
export function visitPlaces(
  scope: FunctionScope,
  start: Operand,
  count: Local,
  places: number,
  vectors: (at: readonly Local[]) => Code,
  single: (at: Local) => Code,
): Code {
  const at = scope.locals('i32', places);
  const [length, left] = scope.locals('i32', 2) as [Local, Local];
  const [first, last] = [at[0]!, at[places - 1]!];
  const shifted = i32.sub(i32.and(length, -PAGE), PAGE - SHIFT);
  return sequence(
    length.set(i32.shrU(count, 2 + Math.log2(places))),
    length.set(select(shifted, length, i32.gtU(length, LONG))),
    first.set(start),
    ...at.slice(1).map((next, i) => next.set(i32.add(at[i]!, i32.shl(length, 4)))),
    left.set(length),
    repeatWhile(left, vectors(at), ...at.map(place => place.advance(16)), left.advance(-1)),
    // The last place ends where the entries begin that belong to none.
    first.set(last),
    count.set(i32.sub(count, i32.mul(length, 4 * places))),
    repeatWhile(i32.geU(count, 4), vectors([first]), first.advance(16), count.advance(-4)),
    repeatWhile(count, single(first), first.advance(4), count.advance(-1)),
  );
}
