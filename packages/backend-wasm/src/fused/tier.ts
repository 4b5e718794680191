import { type SplitTier, simplify } from '@frugaljs/core';
import {
  type Call,
  type Code,
  type FunctionScope,
  f32x4,
  i32,
  integers,
  type Local,
  type ModuleBuilder,
  repeatWhile,
  select,
  sequence,
  type ValueType,
  v128,
  when,
} from '@frugaljs/wasm-assembly';
import { GraphEmitter, type KernelSignature, neededFor, numberParameter, signatureOf } from './graph-emitter.js';
import { loadFirstLane, loadLane, storeLane } from './lanes.js';

/** One tier of a split: what it computes, and which of its tensors have its own size instead of the parameter's. */
export interface TierSpec {
  readonly signature: KernelSignature;
  readonly compact: ReadonlySet<string>;
  /** Names of the tensors that it reads or writes; a result lies where the input of the same name does. */
  readonly tensors: readonly string[];
}

export function tierSpec({ graph, compact }: SplitTier): TierSpec {
  const signature = signatureOf(simplify(graph));
  const tensors = [...new Set([...signature.inputs, ...signature.outputs])];
  return { signature, compact: new Set(Object.keys(compact)), tensors };
}

/** Name of the parameter that carries the address of a tensor. */
const addressParameter = (tensor: string): string => `at ${tensor}`;

/** The parameters that carry a tier's tensors and numbers, in the order of the call. */
export function tierParameters(tier: TierSpec): Record<string, ValueType> {
  return {
    ...integers(...tier.tensors.map(addressParameter)),
    ...Object.fromEntries(tier.signature.numbers.map(id => [numberParameter(id), 'f32' as const])),
  };
}

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
      const emit = new TierEmitter(tier.signature, locals, scope);
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
  const width = Math.min(MOST_ABREAST, Math.max(2, 2 ** Math.floor(Math.log2(WALKS / tier.tensors.length))));
  return { single: define(name, 1), abreast: define(`${name} abreast`, width), width };
}

const LANES = [0, 1, 2, 3] as const;

/**
 * Updates the entries that a list names: `(list, count, old, base, compactAt, …tier)`. Their positions count from the
 * byte offset `base`; compact tensors hold them one after the other from `compactAt` on. The parameter was updated as a
 * whole before: its former values are read from the scratch memory at `old`, which has them at the same offsets.
 */
export function defineIndexed(module: ModuleBuilder, name: string, tier: TierSpec): Call {
  const parameters = { ...integers('list', 'count', 'old', 'base', 'compactAt'), ...tierParameters(tier) };
  return module.define(`${name} indexed`, parameters, (locals: Readonly<Record<string, Local>>, scope) => {
    const [list, count, base, compactAt] = ['list', 'count', 'base', 'compactAt'].map(local => locals[local]!) as [
      Local,
      Local,
      Local,
      Local,
    ];
    const entries = scope.locals('i32', LANES.length);
    const gathered = scope.local('v128');
    const emit = new TierEmitter(tier.signature, locals, scope);
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

/** The operations of a tier, with loads and stores as the caller wants them. */
class TierEmitter {
  private readonly emitter: GraphEmitter;
  private readonly needed: readonly number[];

  constructor(
    private readonly signature: KernelSignature,
    private readonly locals: Readonly<Record<string, Local>>,
    scope: FunctionScope,
  ) {
    const { graph } = signature;
    this.emitter = new GraphEmitter(graph, scope);
    const targets = Object.values(graph.outputs).map(output => output.node);
    this.needed = neededFor(graph, targets);
  }

  /** Numbers into all lanes. */
  numbers(): Code {
    const { numbers } = this.signature;
    return sequence(...numbers.map(id => this.emitter.value(id).set(f32x4.splat(this.locals[numberParameter(id)]!))));
  }

  /** The variable that holds an input that was loaded. */
  input(tensor: string): Local {
    return this.emitter.value(
      this.signature.graph.nodes.findIndex(node => node.op === 'input' && node.name === tensor),
    );
  }

  /** Loads, computes, then stores, so that a result may lie over an input. */
  body(load: (tensor: string) => Code, store: (tensor: string, value: Local) => Code): Code {
    const { graph, numbers } = this.signature;
    const known = new Set(numbers);
    const computed = this.needed.filter(id => !known.has(id) && graph.nodes[id]!.extent !== 'host');
    return sequence(
      ...computed.map(id => {
        const node = graph.nodes[id]!;
        return node.op === 'input' ? this.emitter.value(id).set(load(node.name)) : this.emitter.compute(id);
      }),
      ...Object.entries(graph.outputs).map(([name, { node }]) => store(name, this.emitter.value(node))),
    );
  }
}
