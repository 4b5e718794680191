import type { SplitAxis } from '@frugaljs/core';
import {
  type Code,
  type FunctionScope,
  i32,
  integers,
  type Local,
  ModuleBuilder,
  type Operand,
  repeatWhile,
  select,
  sequence,
  type ValueType,
  when,
} from '@frugaljs/wasm-assembly';
import { defineIndexed, defineRun, MOST_ABREAST, type Runs, type TierSpec, tierParameters } from './tier.js';

/**
 * A kernel that updates a parameter and its state in place, each entry by the graph of its tier: the last tier has all
 * entries that the index lists of the others do not name. One pass over memory.
 *
 * `run(rows, columns, scratch, {list, count} of every tier but the last, …{tensors, numbers} of every tier)`. The scratch
 * memory keeps former values of the parameter: see {@link KEPT}.
 */
export function splitKernel(axis: SplitAxis, tiers: readonly TierSpec[]): ModuleBuilder {
  const module = new ModuleBuilder();
  const indexed = tiers.slice(0, -1);
  const parameters: Record<string, ValueType> = integers('rows', 'columns', 'scratch');
  for (const i of indexed.keys()) Object.assign(parameters, integers(`list ${i}`, `count ${i}`));
  tiers.forEach((tier, i) => {
    for (const [name, type] of Object.entries(tierParameters(tier))) parameters[`${i} ${name}`] = type;
  });
  module.define('run', parameters, (locals: Readonly<Record<string, Local>>, scope) => {
    const part = (tier: TierSpec, i: number): TierPart => ({
      name: `tier ${i}`,
      tier,
      args: Object.keys(tierParameters(tier)).map(name => locals[`${i} ${name}`]!),
    });
    return DRIVERS[axis]({
      module,
      scope,
      rows: locals['rows']!,
      columns: locals['columns']!,
      scratch: locals['scratch']!,
      indexed: indexed.map((tier, i) => ({
        ...part(tier, i),
        list: locals[`list ${i}`]!,
        count: locals[`count ${i}`]!,
      })),
      rest: part(tiers[indexed.length]!, indexed.length),
    });
  });
  return module;
}

/** Entries that are updated before their neighbors, so that they stay in the cache; a power of two. */
const CHUNK = 4096;

/** How much of the parameter, as it was before, a kernel keeps in its scratch memory: so many entries and whole rows. */
export const KEPT: Readonly<Record<SplitAxis, { readonly entries: number; readonly rows: number }>> = {
  row: { entries: 0, rows: 0 },
  column: { entries: 0, rows: MOST_ABREAST },
  element: { entries: CHUNK, rows: 0 },
};

const DRIVERS: Readonly<Record<SplitAxis, (parts: SplitParts) => Code>> = {
  row: driveRows,
  column: driveColumns,
  element: driveEntries,
};

/** A tier in the kernel under construction. */
interface TierPart {
  readonly name: string;
  readonly tier: TierSpec;
  /** Arguments of its functions: addresses of tensors, then numbers. */
  readonly args: readonly Local[];
}

/** A tier whose entries a list of ascending indices names. */
interface IndexedPart extends TierPart {
  readonly list: Local;
  readonly count: Local;
}

/** What the code that shares out the entries of a parameter has at hand. */
interface SplitParts {
  readonly module: ModuleBuilder;
  readonly scope: FunctionScope;
  readonly rows: Local;
  readonly columns: Local;
  /** Address of the scratch memory. */
  readonly scratch: Local;
  readonly indexed: readonly IndexedPart[];
  readonly rest: TierPart;
}

/** Address of an entry of a list. */
const entryAt = (list: Local, position: Operand): Code => i32.add(list, i32.shl(position, 2));

/** An entry of a list, and whether there is one at this position. */
function indexedEntry(
  { list, count }: Pick<IndexedPart, 'list' | 'count'>,
  position: Operand,
): { readonly exists: Code; readonly index: Code } {
  const exists = i32.ltU(position, count);
  // Past its end a list is read at its start instead, so that no load leaves it.
  return { exists, index: i32.load(entryAt(list, select(position, 0, exists))) };
}

/** Parts of the matrix from which rows are taken. */
const PARTS = 4;

/**
 * Each row goes to the tier whose list names it. The rows are taken in turns from several parts of the matrix, and wait
 * until there are enough of a tier to be worked on side by side (see `visitPlaces`).
 */
function driveRows({ module, scope, rows, columns, indexed, rest }: SplitParts): Code {
  const [perPart, turns, rowBytes] = scope.locals('i32', 3) as [Local, Local, Local];
  const queueOf = (part: TierPart): RowQueue =>
    new RowQueue(defineRun(module, part.name, part.tier), columns, part.args, scope);
  const lists = indexed.map(part => ({ part, queue: queueOf(part) }));
  const restQueue = queueOf(rest);
  const stretches: Stretch[] = [];
  for (let i = 0; i < PARTS; i++) stretches.push(new Stretch(stretches[i - 1], indexed, scope));
  /** Adds the next row of a stretch to a queue. */
  const take = ({ row, at, positions }: Stretch): Code => {
    let choose = restQueue.add(at, 0);
    for (const [i, { part, queue }] of [...lists.entries()].reverse()) {
      const position = positions[i]!;
      const { exists, index } = indexedEntry(part, position);
      const add = sequence(queue.add(at, i32.mul(position, rowBytes)), position.advance(1));
      choose = when(i32.and(i32.eq(index, row), exists), add, choose);
    }
    return when(i32.ltU(row, rows), sequence(choose, row.advance(1), at.advance(rowBytes)));
  };
  return sequence(
    rowBytes.set(i32.shl(columns, 2)),
    perPart.set(i32.shrU(i32.add(rows, PARTS - 1), Math.log2(PARTS))),
    ...stretches.map((stretch, i) => stretch.start(i32.mul(perPart, i), rowBytes)),
    turns.set(perPart),
    repeatWhile(turns, ...stretches.map(take), turns.advance(-1)),
    ...[...lists.map(({ queue }) => queue), restQueue].map(queue => queue.flush()),
  );
}

/** Rows that follow each other. */
class Stretch {
  /** The next row and its byte offset. */
  readonly row: Local;
  readonly at: Local;
  /** The next entry of every list. */
  readonly positions: readonly Local[];

  constructor(
    private readonly before: Stretch | undefined,
    private readonly indexed: readonly IndexedPart[],
    scope: FunctionScope,
  ) {
    [this.row, this.at] = scope.locals('i32', 2) as [Local, Local];
    this.positions = scope.locals('i32', indexed.length);
  }

  /** Goes to the first row and the entries of the lists from there on; the stretch before has done so. */
  start(first: Code, rowBytes: Local): Code {
    return sequence(
      this.row.set(first),
      this.at.set(i32.mul(this.row, rowBytes)),
      ...this.positions.flatMap((position, i) => {
        const { exists, index } = indexedEntry(this.indexed[i]!, position);
        return [
          position.set(this.before?.positions[i] ?? 0),
          repeatWhile(i32.and(i32.ltU(index, this.row), exists), position.advance(1)),
        ];
      }),
    );
  }
}

/** Rows of one tier that wait. */
class RowQueue {
  private readonly waiting: Local;
  /** Byte offsets of those that wait, in parameter and compact tensors, the newest first. */
  private readonly at: readonly Local[];
  private readonly compactAt: readonly Local[];

  constructor(
    private readonly run: Runs,
    private readonly columns: Local,
    private readonly args: readonly Local[],
    scope: FunctionScope,
  ) {
    this.waiting = scope.local('i32');
    this.at = scope.locals('i32', run.width - 1);
    this.compactAt = scope.locals('i32', run.width - 1);
  }

  /** Adds a row; the last of a group sets all of them off. */
  add(at: Local, compactAt: Operand): Code {
    const { waiting } = this;
    const push = (queue: readonly Local[], next: Operand): Code =>
      sequence(...queue.map((_, i) => queue[queue.length - 1 - i]!.set(queue[queue.length - 2 - i] ?? next)));
    return when(
      i32.eq(waiting, this.run.width - 1),
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

/** All columns of a few rows are updated by the rest, then the indexed ones anew from their former values. */
function driveColumns({ module, scope, rows, columns, scratch, indexed, rest }: SplitParts): Code {
  const [left, at, rowBytes, old] = scope.locals('i32', 4) as [Local, Local, Local, Local];
  const tiers = indexed.map(part => ({
    ...part,
    run: defineIndexed(module, part.name, part.tier),
    compactAt: scope.local('i32'),
    bytes: scope.local('i32'),
  }));
  const runRest = defineRun(module, rest.name, rest.tier, true);
  const update = (width: 'single' | 'abreast'): Code => {
    const height = width === 'single' ? 1 : runRest.width;
    const starts = Array.from({ length: height }, (_, i) => i32.add(at, i32.mul(rowBytes, i)));
    return sequence(
      old.set(i32.sub(scratch, at)),
      runRest[width](columns, old, ...starts, ...starts.map(() => 0), ...rest.args),
      // One row after the other: side by side, stores to one row would hold up loads from the others.
      ...tiers.flatMap(({ run, list, count, bytes, compactAt, args }) =>
        starts.flatMap(start => [run(list, count, old, start, compactAt, ...args), compactAt.advance(bytes)]),
      ),
      at.advance(i32.mul(rowBytes, height)),
      left.advance(-height),
    );
  };
  return sequence(
    rowBytes.set(i32.shl(columns, 2)),
    ...tiers.map(({ bytes, count }) => bytes.set(i32.shl(count, 2))),
    left.set(rows),
    repeatWhile(i32.geU(left, runRest.width), update('abreast')),
    repeatWhile(left, update('single')),
  );
}

/** Chunk by chunk all entries are updated by the rest, then the indexed ones anew from their former values. */
function driveEntries({ module, scope, rows, columns, scratch, indexed, rest }: SplitParts): Code {
  const [start, size, total, at, old] = scope.locals('i32', 5) as [Local, Local, Local, Local, Local];
  const tiers = indexed.map(part => ({
    ...part,
    run: defineIndexed(module, part.name, part.tier),
    /** Entries of the list before the chunk and in it. */
    done: scope.local('i32'),
    here: scope.local('i32'),
    jump: scope.local('i32'),
  }));
  const runRest = defineRun(module, rest.name, rest.tier, true);
  /** Finds how many entries of a list lie in the chunk, by jumps of all powers of two. */
  const find = (tier: (typeof tiers)[number]): Code => {
    const { done, here, jump } = tier;
    const { exists, index } = indexedEntry(tier, i32.add(i32.add(done, here), i32.sub(jump, 1)));
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
