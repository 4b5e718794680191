import {
  type Call,
  type Code,
  i32,
  integers,
  type Local,
  type ModuleBuilder,
  repeatWhile,
  sequence,
  v128,
} from '@frugaljs/wasm-assembly';
import { loadFirstLane, loadLane, storeLane } from './lanes.js';
import { addressParameter, TierEmitter, type TierSpec, tierParameters } from './tier.js';

const LANES = [0, 1, 2, 3] as const;

/**
 * Updates the entries that a list names: `(list, count, old, base, compactAt, …tier)`. Their positions count from the
 * byte offset `base`; compact tensors hold them one after the other from `compactAt` on. The parameter was updated as a
 * whole before: its former values are read from the scratch memory at `old`, which has them at the same offsets.
 */
export function defineListed(module: ModuleBuilder, name: string, tier: TierSpec): Call {
  const parameters = { ...integers('list', 'count', 'old', 'base', 'compactAt'), ...tierParameters(tier) };
  return module.define(`${name} listed`, parameters, (locals: Readonly<Record<string, Local>>, scope) => {
    const [list, count, base, compactAt] = ['list', 'count', 'base', 'compactAt'].map(local => locals[local]!) as [
      Local,
      Local,
      Local,
      Local,
    ];
    const entries = scope.locals('i32', LANES.length);
    const gathered = scope.local('v128');
    const emit = new TierEmitter(tier, locals, scope);
    const isCompact = (tensor: string): boolean => tier.compact.has(tensor);
    const compactPlace = (tensor: string): Code => i32.add(locals[addressParameter(tensor)]!, compactAt);
    const written = (tensor: string, lane: number): Code => i32.add(locals[addressParameter(tensor)]!, entries[lane]!);
    const read = (tensor: string, lane: number): Code =>
      tensor === 'w' ? i32.add(locals['old']!, entries[lane]!) : written(tensor, lane);
    const locate = (lane: number): Code => entries[lane]!.set(i32.add(base, i32.shl(i32.load(list, 4 * lane), 2)));
    const gather = (tensor: string): Code =>
      sequence(
        gathered.set(loadFirstLane(read(tensor, 0))),
        ...LANES.slice(1).map(lane => gathered.set(loadLane(read(tensor, lane), gathered, lane))),
        gathered,
      );
    const scatter = (tensor: string, value: Local): Code =>
      sequence(...LANES.map(lane => storeLane(written(tensor, lane), value, lane)));
    const step = (lanes: number): Code[] => [
      list.advance(4 * lanes),
      compactAt.advance(4 * lanes),
      count.advance(-lanes),
    ];
    return sequence(
      emit.numbers(),
      repeatWhile(
        i32.geU(count, LANES.length),
        ...LANES.map(locate),
        emit.body(
          tensor => (isCompact(tensor) ? v128.load(compactPlace(tensor)) : gather(tensor)),
          (tensor, value) => (isCompact(tensor) ? v128.store(compactPlace(tensor), value) : scatter(tensor, value)),
        ),
        ...step(LANES.length),
      ),
      repeatWhile(
        count,
        locate(0),
        emit.body(
          tensor => loadFirstLane(isCompact(tensor) ? compactPlace(tensor) : read(tensor, 0)),
          (tensor, value) => storeLane(isCompact(tensor) ? compactPlace(tensor) : written(tensor, 0), value, 0),
        ),
        ...step(1),
      ),
    );
  });
}
