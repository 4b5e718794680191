import {
  type Code,
  type FunctionScope,
  i32,
  type Local,
  type Operand,
  repeatWhile,
  select,
  sequence,
  when,
} from '@frugaljs/wasm-assembly';
import { type ListedPart, listedEntry, type SplitParts, type TierPart } from './split-parts.js';
import { defineRun, type Runs } from './tier-run.js';

/** Parts of the matrix from which rows are taken. */
const PARTS = 4;

/**
 * Each row goes to the tier whose list names it. The rows are taken in turns from several parts of the matrix, and wait
 * until there are enough of a tier to be worked on side by side (see `visitPlaces`).
 */
export function driveRows({ module, scope, rows, columns, listed, rest }: SplitParts): Code {
  const [perPart, turns, rowBytes] = scope.locals('i32', 3) as [Local, Local, Local];
  const queueOf = (part: TierPart): RowQueue =>
    new RowQueue(defineRun(module, part.name, part.tier), columns, part.args, scope);
  const lists = listed.map(part => ({ part, queue: queueOf(part) }));
  const restQueue = queueOf(rest);
  const stretches: Stretch[] = [];
  for (let i = 0; i < PARTS; i++) stretches.push(new Stretch(stretches[i - 1], listed, scope));
  /** Adds the next row of a stretch to a queue. */
  const take = ({ row, at, positions }: Stretch): Code => {
    let choose = restQueue.add(at, 0);
    for (const [i, { part, queue }] of [...lists.entries()].reverse()) {
      const position = positions[i]!;
      const { exists, index } = listedEntry(part, position);
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
    private readonly listed: readonly ListedPart[],
    scope: FunctionScope,
  ) {
    [this.row, this.at] = scope.locals('i32', 2) as [Local, Local];
    this.positions = scope.locals('i32', listed.length);
  }

  /** Goes to the first row and the entries of the lists from there on; the stretch before has done so. */
  start(first: Code, rowBytes: Local): Code {
    return sequence(
      this.row.set(first),
      this.at.set(i32.mul(this.row, rowBytes)),
      ...this.positions.flatMap((position, i) => {
        const { exists, index } = listedEntry(this.listed[i]!, position);
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
