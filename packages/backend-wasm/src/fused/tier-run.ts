import {
  type Call,
  type Code,
  i32,
  integers,
  type Local,
  type ModuleBuilder,
  repeatWhile,
  select,
  sequence,
  v128,
  when,
} from '@frugaljs/wasm-assembly';
import { loadFirstLane, storeLane } from './lanes.js';
import { addressParameter, TierEmitter, type TierSpec, tierParameters, tierTensors } from './tier.js';

/** The most stretches that are worked on at the same time, for the reason given at `visitPlaces`. */
export const MOST_ABREAST = 4;
/** Walks through memory at the same time, one per tensor and stretch, more than which do not pay. */
const WALKS = 8;

/**
 * Vectors by which one stretch is ahead of the one before. Without that, rows of 4 KiB would be at the same place of
 * a page all the time, where they compete for lines of the cache, and loads wait for stores to other rows.
 */
const LAG = 4;

/** A function for one stretch of entries and one for `width` stretches of the same length. */
export interface Runs {
  readonly single: Call;
  readonly abreast: Call;
  readonly width: number;
}

/**
 * Updates entries one after the other: `(count, at…, compactAt…, …tier)` from the byte offsets `at` on, in compact
 * tensors from `compactAt` on.
 *
 * @param keepsOld The values of `w` before the update are kept at the same offsets of a scratch memory, whose address
 *   `old` comes after `count`.
 */
export function defineRun(module: ModuleBuilder, name: string, tier: TierSpec, keepsOld = false): Runs {
  const define = (fullName: string, places: number): Call => {
    const [atNames, compactNames] = ['at', 'compactAt'].map(what =>
      Array.from({ length: places }, (_, i) => `${what} ${i}`),
    ) as [string[], string[]];
    const parameters = {
      ...integers('count', ...(keepsOld ? ['old'] : []), ...atNames, ...compactNames),
      ...tierParameters(tier),
    };
    return module.define(fullName, parameters, (locals: Readonly<Record<string, Local>>, scope) => {
      const count = locals['count']!;
      const [at, compactAt] = [atNames, compactNames].map(names => names.map(local => locals[local]!)) as [
        Local[],
        Local[],
      ];
      const emit = new TierEmitter(tier, locals, scope);
      const place = (tensor: string, i: number): Code =>
        i32.add(locals[addressParameter(tensor)]!, (tier.compact.has(tensor) ? compactAt : at)[i]!);
      const step = (lanes: number): Code[] => [
        ...[...at, ...compactAt].map(offset => offset.advance(4 * lanes)),
        count.advance(-lanes),
      ];
      const each = (body: (i: number) => Code): Code[] => at.map((_, i) => body(i));
      const keep = (i: number, store: (place: Code, value: Local) => Code): Code =>
        keepsOld ? store(i32.add(locals['old']!, at[i]!), emit.input('w')) : sequence();
      const vectors = each(i =>
        sequence(
          emit.body(
            tensor => v128.load(place(tensor, i)),
            (tensor, value) => v128.store(place(tensor, i), value),
          ),
          keep(i, v128.store),
        ),
      );
      const [lag, all, left, turn] = scope.locals('i32', 4) as [Local, Local, Local, Local];
      const shift = (i: number, by: Code): Code => sequence(at[i]!.advance(by), compactAt[i]!.advance(by));
      const advance = [...at, ...compactAt].map(offset => offset.advance(16));
      // Every stretch starts a little further on than the one before it, and does what it left out at the end.
      const lagging = sequence(
        all.set(i32.shrU(count, 2)),
        lag.set(select(LAG, 0, i32.gtU(all, 8 * LAG))),
        ...each(i => shift(i, i32.mul(lag, 16 * i))),
        left.set(i32.sub(all, i32.mul(lag, places - 1))),
        turn.set(places),
        repeatWhile(
          turn,
          repeatWhile(left, ...vectors, ...advance, left.advance(-1)),
          turn.advance(-1),
          ...each(i => (i === 0 ? sequence() : when(i32.eq(turn, i), shift(i, i32.mul(all, -16))))),
          left.set(lag),
        ),
        // The first stands at its end now, the others where they started.
        ...each(i => (i === 0 ? sequence() : shift(i, i32.sub(i32.shl(all, 4), i32.mul(lag, 16 * i))))),
        count.set(i32.and(count, 3)),
      );
      return sequence(
        emit.numbers(),
        places > 1 ? lagging : repeatWhile(i32.geU(count, 4), ...vectors, ...step(4)),
        repeatWhile(
          count,
          ...each(i =>
            sequence(
              emit.body(
                tensor => loadFirstLane(place(tensor, i)),
                (tensor, value) => storeLane(place(tensor, i), value, 0),
              ),
              keep(i, (address, value) => storeLane(address, value, 0)),
            ),
          ),
          ...step(1),
        ),
      );
    });
  };
  const width = Math.min(MOST_ABREAST, Math.max(2, 2 ** Math.floor(Math.log2(WALKS / tierTensors(tier).length))));
  return { single: define(name, 1), abreast: define(`${name} abreast`, width), width };
}
