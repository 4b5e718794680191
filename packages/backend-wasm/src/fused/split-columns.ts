import { type Code, i32, type Local, repeatWhile, sequence } from '@frugaljs/wasm-assembly';
import type { SplitParts } from './split-parts.js';
import { defineListed } from './tier-listed.js';
import { defineRun } from './tier-run.js';

/** All columns of a few rows are updated by the rest, then the listed ones anew from their former values. */
export function driveColumns({ module, scope, rows, columns, scratch, listed, rest }: SplitParts): Code {
  const [left, at, rowBytes, old] = scope.locals('i32', 4) as [Local, Local, Local, Local];
  const tiers = listed.map(part => ({
    ...part,
    run: defineListed(module, part.name, part.tier),
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
