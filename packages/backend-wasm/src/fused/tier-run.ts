import { type Code, sequence } from '../assembly/code.js';
import { i32, repeatWhile, v128 } from '../assembly/instructions.js';
import { type Call, integers, type Local, type ModuleBuilder } from '../assembly/module.js';
import { loadFirstLane, storeLane } from './lanes.js';
import { addressParameter, TierEmitter, type TierSpec, tierParameters } from './tier.js';

/** Rows that are worked on at the same time, for the reason given at `visitPlaces`. */
export const ABREAST = 4;

/** A function for one stretch of entries and one for several of the same length. */
export interface Runs {
  readonly single: Call;
  readonly abreast: Call;
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
      return sequence(
        emit.numbers(),
        repeatWhile(
          i32.geU(count, 4),
          ...each(i =>
            sequence(
              emit.body(
                tensor => v128.load(place(tensor, i)),
                (tensor, value) => v128.store(place(tensor, i), value),
              ),
              keep(i, v128.store),
            ),
          ),
          ...step(4),
        ),
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
  return { single: define(name, 1), abreast: define(`${name} abreast`, ABREAST) };
}
