import type { Graph } from '@frugaljs/core';
import { type Code, type Operand, sequence } from '../assembly/code.js';
import { f32x4, i32, repeatWhile, select, v128, when } from '../assembly/instructions.js';
import {
  type Call,
  type FunctionScope,
  integers,
  type Local,
  ModuleBuilder,
  type ValueType,
} from '../assembly/module.js';
import { GraphEmitter } from './graph-emitter.js';
import { type KernelSignature, numberParameter } from './kernel-signature.js';
import { loadFirstLane, loadLane, storeLane } from './lanes.js';
import { neededFor } from './stages.js';

/** How the entries of a parameter are shared out among tiers. */
export type SplitAxis = 'row' | 'column' | 'element';

/** One tier of a split: what it computes, and which of its tensors have its own size instead of the parameter's. */
export interface TierSpec {
  readonly graph: Graph;
  readonly signature: KernelSignature;
  readonly compact: ReadonlySet<string>;
}

/** Entries that are updated before their neighbors, so that a flat split stays in the cache. */
export const CHUNK = 4096;

/** Rows that are worked on at the same time. */
const ABREAST = 4;

/** Names of the tensors a tier reads or writes; a result lies where the input of the same name does. */
export function tierTensors({ signature }: TierSpec): readonly string[] {
  return [...new Set([...signature.inputs, ...signature.outputs])];
}

const address = (name: string): string => `at ${name}`;

function tierParameters(tier: TierSpec): Record<string, ValueType> {
  return {
    ...integers(...tierTensors(tier).map(address)),
    ...Object.fromEntries(tier.signature.numbers.map(id => [numberParameter(id), 'f32' as const])),
  };
}

/**
 * A kernel that updates a parameter and its state in place, each entry by the graph of its tier: the last tier has all
 * entries that the index lists of the others do not name. One pass over memory.
 *
 * `run(rows, columns, {list, count, staged} of every tier but the last, …{tensors, numbers} of every tier)`. `staged` is
 * scratch memory for new values of listed entries of a row or chunk, which are put in place after the rest was updated.
 */
export function splitKernel(axis: SplitAxis, tiers: readonly TierSpec[]): ModuleBuilder {
  const module = new ModuleBuilder();
  const listed = tiers.slice(0, -1);
  const runs = tiers.map((tier, i) => defineRun(module, `tier ${i}`, tier));
  const calls = listed.map((tier, i) => defineListed(module, `listed ${i}`, tier));
  const rest = runs[listed.length]!;
  const scatter = defineScatter(module);
  const parameters: Record<string, ValueType> = integers('rows', 'columns');
  for (const i of listed.keys()) Object.assign(parameters, integers(`list ${i}`, `count ${i}`, `staged ${i}`));
  tiers.forEach((tier, i) => {
    for (const [name, type] of Object.entries(tierParameters(tier))) parameters[`${i} ${name}`] = type;
  });
  module.define('run', parameters, (locals, scope) => {
    const argumentsOf = (i: number): Local[] =>
      Object.keys(tierParameters(tiers[i]!)).map(name => locals[`${i} ${name}`]!);
    const driver = {
      listed,
      runs,
      calls,
      rest,
      scatter,
      locals,
      scope,
      argumentsOf,
      restArguments: argumentsOf(tiers.length - 1),
    };
    if (axis === 'row') return driveRows(driver);
    return axis === 'column' ? driveColumns(driver) : driveEntries(driver);
  });
  return module;
}

interface Driver {
  readonly listed: readonly TierSpec[];
  readonly runs: readonly Run[];
  readonly calls: readonly Call[];
  readonly rest: Run;
  readonly scatter: Call;
  readonly locals: Readonly<Record<string, Local>>;
  readonly scope: FunctionScope;
  argumentsOf(tier: number): Local[];
  readonly restArguments: readonly Local[];
}

const entryAt = (list: Local, index: Operand): Code => i32.add(list, i32.shl(index, 2));

/**
 * Each row goes to the tier whose list names it. The rows are taken in turns from several parts of the matrix, and wait
 * until there are enough of a tier to be worked on side by side (see `visitPlaces`).
 */
function driveRows({ listed, runs, locals, scope, argumentsOf }: Driver): Code {
  const { rows, columns } = locals as { rows: Local; columns: Local };
  const [perPart, turns, rowBytes] = scope.locals('i32', 3) as [Local, Local, Local];
  const queues = runs.map((run, i) => new RowQueue(run, columns, argumentsOf(i), scope));
  const parts = Array.from({ length: ABREAST }, (_, i) => {
    const [row, at] = scope.locals('i32', 2) as [Local, Local];
    return { i, row, at, positions: scope.locals('i32', listed.length) };
  });
  const entry = (tier: number, position: Local): { readonly inside: Code; readonly row: Code } => {
    const inside = i32.ltU(position, locals[`count ${tier}`]!);
    // Past its end a list is read at its start instead, so that no load leaves it.
    return { inside, row: i32.load(entryAt(locals[`list ${tier}`]!, select(position, 0, inside))) };
  };
  /** Finds the first row of a part and the positions of the lists that belong to it. */
  const start = ({ i, row, at, positions }: (typeof parts)[number]): Code =>
    sequence(
      row.set(i32.mul(perPart, i)),
      at.set(i32.mul(row, rowBytes)),
      ...positions.map((position, tier) => {
        const { inside, row: listedRow } = entry(tier, position);
        return sequence(
          position.set(parts[i - 1]?.positions[tier] ?? 0),
          repeatWhile(i32.and(i32.ltU(listedRow, row), inside), position.advance(1)),
        );
      }),
    );
  const take = ({ row, at, positions }: (typeof parts)[number]): Code => {
    let choose = queues[listed.length]!.add(at, 0);
    for (let tier = listed.length - 1; tier >= 0; tier--) {
      const position = positions[tier]!;
      const { inside, row: listedRow } = entry(tier, position);
      const add = sequence(queues[tier]!.add(at, i32.mul(position, rowBytes)), position.advance(1));
      choose = when(i32.and(i32.eq(listedRow, row), inside), add, choose);
    }
    return when(i32.ltU(row, rows), sequence(choose, row.advance(1), at.advance(rowBytes)));
  };
  return sequence(
    rowBytes.set(i32.shl(columns, 2)),
    perPart.set(i32.shrU(i32.add(rows, ABREAST - 1), Math.log2(ABREAST))),
    ...parts.map(start),
    turns.set(perPart),
    repeatWhile(turns, ...parts.map(take), turns.advance(-1)),
    ...queues.map(queue => queue.flush()),
  );
}

/** Rows of one tier that wait. */
class RowQueue {
  private readonly waiting: Local;
  /** Byte offsets of those that wait, in parameter and compact tensors, the newest first. */
  private readonly at: readonly Local[];
  private readonly compactAt: readonly Local[];

  constructor(
    private readonly run: Run,
    private readonly columns: Local,
    private readonly args: readonly Local[],
    scope: FunctionScope,
  ) {
    this.waiting = scope.local('i32');
    this.at = scope.locals('i32', ABREAST - 1);
    this.compactAt = scope.locals('i32', ABREAST - 1);
  }

  /** Adds a row; the last of a group sets all of them off. */
  add(at: Local, compactAt: Operand): Code {
    const { waiting } = this;
    const push = (queue: readonly Local[], next: Operand): Code =>
      sequence(...queue.map((_, i) => queue[queue.length - 1 - i]!.set(queue[queue.length - 2 - i] ?? next)));
    return when(
      i32.eq(waiting, ABREAST - 1),
      sequence(
        this.run.abreast(this.columns, ...this.at, at, ...this.compactAt, compactAt, ...this.args),
        waiting.set(0),
      ),
      sequence(push(this.at, at), push(this.compactAt, compactAt), waiting.advance(1)),
    );
  }

  /** Runs the rows that are left, one by one. */
  flush(): Code {
    const { waiting } = this;
    const oldest = (queue: readonly Local[]): Operand =>
      queue.reduce<Operand>((found, place, i) => select(place, found, i32.eq(waiting, i + 1)), 0);
    return repeatWhile(
      waiting,
      this.run.single(this.columns, oldest(this.at), oldest(this.compactAt), ...this.args),
      waiting.advance(-1),
    );
  }
}

/** In every row the listed columns are computed first, then all columns by the rest, then the listed ones put in place. */
function driveColumns({ listed, calls, rest, scatter, locals, scope, argumentsOf, restArguments }: Driver): Code {
  const { rows, columns } = locals as { rows: Local; columns: Local };
  const [row, at] = scope.locals('i32', 2) as [Local, Local];
  const compactAt = listed.map(() => scope.local('i32'));
  const of = (i: number): [Local, Local, Local] => [
    locals[`list ${i}`]!,
    locals[`count ${i}`]!,
    locals[`staged ${i}`]!,
  ];
  return repeatWhile(
    i32.ltU(row, rows),
    ...listed.map((_, i) => {
      const [list, count, staged] = of(i);
      return calls[i]!(list, count, at, compactAt[i]!, staged, ...argumentsOf(i));
    }),
    rest.single(columns, at, 0, ...restArguments),
    ...listed.flatMap((_, i) => {
      const [list, count, staged] = of(i);
      return [
        scatter(list, count, at, staged, locals[`${i} ${address('w')}`]!),
        compactAt[i]!.advance(i32.shl(count, 2)),
      ];
    }),
    at.advance(i32.shl(columns, 2)),
    row.advance(1),
  );
}

/** The same for flat entries, chunk by chunk. */
function driveEntries({ listed, calls, rest, scatter, locals, scope, argumentsOf, restArguments }: Driver): Code {
  const { rows, columns } = locals as { rows: Local; columns: Local };
  const [start, size, total] = scope.locals('i32', 3) as [Local, Local, Local];
  const parts = listed.map((_, i) => ({
    list: locals[`list ${i}`]!,
    count: locals[`count ${i}`]!,
    staged: locals[`staged ${i}`]!,
    done: scope.local('i32'),
    here: scope.local('i32'),
  }));
  return sequence(
    total.set(i32.mul(rows, columns)),
    repeatWhile(
      i32.ltU(start, total),
      size.set(i32.sub(total, start)),
      size.set(select(CHUNK, size, i32.gtU(size, CHUNK))),
      ...parts.flatMap(({ list, count, staged, done, here }, i) => {
        const next = i32.add(done, here);
        const inside = i32.ltU(next, count);
        const inChunk = i32.ltU(i32.load(entryAt(list, select(next, 0, inside))), i32.add(start, size));
        return [
          here.set(0),
          repeatWhile(i32.and(inChunk, inside), here.advance(1)),
          calls[i]!(entryAt(list, done), here, 0, i32.shl(done, 2), staged, ...argumentsOf(i)),
        ];
      }),
      rest.single(size, i32.shl(start, 2), 0, ...restArguments),
      ...parts.flatMap(({ list, staged, done, here }, i) => [
        scatter(entryAt(list, done), here, 0, staged, locals[`${i} ${address('w')}`]!),
        done.advance(here),
      ]),
      start.advance(size),
    ),
  );
}

/**
 * Entries one after the other: `single(count, at, compactAt, …)` from byte `at` on (`compactAt` in compact tensors),
 * `abreast(count, at…, compactAt…, …)` from several places on at the same time.
 */
interface Run {
  readonly single: Call;
  readonly abreast: Call;
}

function defineRun(module: ModuleBuilder, name: string, tier: TierSpec): Run {
  return {
    single: definePlaces(module, name, tier, 1),
    abreast: definePlaces(module, `${name} abreast`, tier, ABREAST),
  };
}

function definePlaces(module: ModuleBuilder, name: string, tier: TierSpec, places: number): Call {
  const names = (what: string): string[] => Array.from({ length: places }, (_, i) => `${what} ${i}`);
  const parameters: Record<string, ValueType> = {
    ...integers('count', ...names('at'), ...names('compactAt')),
    ...tierParameters(tier),
  };
  return module.define(name, parameters, (locals, scope) => {
    const { count } = locals as unknown as { count: Local };
    const [at, compactAt] = [names('at'), names('compactAt')].map(list => list.map(name => locals[name]!)) as [
      Local[],
      Local[],
    ];
    const emit = new TierEmitter(tier, locals, scope);
    const place = (tensor: string, i: number): Code =>
      i32.add(locals[address(tensor)]!, (tier.compact.has(tensor) ? compactAt : at)[i]!);
    const step = (lanes: number): Code[] => [
      ...[...at, ...compactAt].map(offset => offset.advance(4 * lanes)),
      count.advance(-lanes),
    ];
    const each = (body: (i: number) => Code): Code[] => at.map((_, i) => body(i));
    return sequence(
      emit.numbers(),
      repeatWhile(
        i32.geU(count, 4),
        ...each(i =>
          emit.body(
            tensor => v128.load(place(tensor, i)),
            (tensor, value) => v128.store(place(tensor, i), value),
          ),
        ),
        ...step(4),
      ),
      repeatWhile(
        count,
        ...each(i =>
          emit.body(
            tensor => loadFirstLane(place(tensor, i)),
            (tensor, value) => storeLane(place(tensor, i), value, 0),
          ),
        ),
        ...step(1),
      ),
    );
  });
}

/** `name(list, count, base, compactAt, staged, …)`: listed entries; the new `w` go to `staged`, one after the other. */
function defineListed(module: ModuleBuilder, name: string, tier: TierSpec): Call {
  const parameters: Record<string, ValueType> = {
    ...integers('list', 'count', 'base', 'compactAt', 'staged'),
    ...tierParameters(tier),
  };
  return module.define(name, parameters, (locals, scope) => {
    const { list, count, base, compactAt, staged } = locals as unknown as Record<string, Local>;
    const places = scope.locals('i32', 4);
    const gathered = scope.local('v128');
    const emit = new TierEmitter(tier, locals, scope);
    const isCompact = (tensor: string): boolean => tier.compact.has(tensor);
    const compactPlace = (tensor: string): Code => i32.add(locals[address(tensor)]!, compactAt!);
    const entryPlace = (tensor: string, lane: number): Code => i32.add(locals[address(tensor)]!, places[lane]!);
    const locate = (lane: number): Code => places[lane]!.set(i32.add(base!, i32.shl(i32.load(list!, 4 * lane), 2)));
    const gather = (tensor: string): Code =>
      sequence(
        gathered.set(loadFirstLane(entryPlace(tensor, 0))),
        ...[1, 2, 3].map(lane => gathered.set(loadLane(entryPlace(tensor, lane), gathered, lane))),
        gathered,
      );
    const target = (tensor: string): Code => (isCompact(tensor) ? compactPlace(tensor) : staged!);
    const step = (lanes: number): Code[] => [
      list!.advance(4 * lanes),
      compactAt!.advance(4 * lanes),
      staged!.advance(4 * lanes),
      count!.advance(-lanes),
    ];
    return sequence(
      emit.numbers(),
      repeatWhile(
        i32.geU(count!, 4),
        ...[0, 1, 2, 3].map(locate),
        emit.body(
          tensor => (isCompact(tensor) ? v128.load(compactPlace(tensor)) : gather(tensor)),
          (tensor, value) => v128.store(target(tensor), value),
        ),
        ...step(4),
      ),
      repeatWhile(
        count!,
        locate(0),
        emit.body(
          tensor => loadFirstLane(isCompact(tensor) ? compactPlace(tensor) : entryPlace(tensor, 0)),
          (tensor, value) => storeLane(target(tensor), value, 0),
        ),
        ...step(1),
      ),
    );
  });
}

/** `scatter(list, count, base, staged, w)`: puts staged values where the list says. */
function defineScatter(module: ModuleBuilder): Call {
  return module.define(
    'scatter',
    integers('list', 'count', 'base', 'staged', 'w'),
    ({ list, count, base, staged, w }) =>
      repeatWhile(
        count,
        i32.store(i32.add(i32.add(w, base), i32.shl(i32.load(list), 2)), i32.load(staged)),
        list.advance(4),
        staged.advance(4),
        count.advance(-1),
      ),
  );
}

/** The operations of a tier, with loads and stores as the caller wants them. */
class TierEmitter {
  private readonly emitter: GraphEmitter;
  private readonly needed: readonly number[];

  constructor(
    private readonly tier: TierSpec,
    private readonly locals: Readonly<Record<string, Local>>,
    scope: FunctionScope,
  ) {
    this.emitter = new GraphEmitter(tier.graph, scope);
    const targets = Object.values(tier.graph.outputs).map(output => output.node);
    this.needed = neededFor(tier.graph, targets);
  }

  /** Numbers into all lanes. */
  numbers(): Code {
    const { numbers } = this.tier.signature;
    return sequence(...numbers.map(id => this.emitter.value(id).set(f32x4.splat(this.locals[numberParameter(id)]!))));
  }

  /** Loads, computes, then stores, so that a result may lie over an input. */
  body(load: (tensor: string) => Code, store: (tensor: string, value: Local) => Code): Code {
    const { graph, signature } = this.tier;
    const known = new Set(signature.numbers);
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
