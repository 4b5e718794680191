import { i32, integers, ModuleBuilder, repeatWhile, sequence, v128 } from '@frugaljs/wasm-assembly';
import { Program } from '../program.js';
import { defineCopyRow } from './row.js';
import { transpose4x4 } from './transpose4x4.js';

/**
 * Moves strided data.
 *
 * - `copyRows(to, toStride, from, fromStride, rowBytes, rows)`: rows of contiguous bytes between two pitches.
 * - `gatherRows(to, from, indices, count, rowBytes)`: row `indices[i]` of `from` becomes row `i` of `to`.
 * - `transpose(to, toStride, from, fromStride, rows, columns)`: a matrix of 4-byte elements; element `(i, j)` of
 *   `from`, at `i * fromStride + 4 * j`, goes to `j * toStride + 4 * i`.
 *
 * All strides are in bytes; source and target must not overlap.
 */
export const copyProgram: Program<'copyRows' | 'gatherRows' | 'transpose'> = new Program('copy', () => {
  const module = new ModuleBuilder();
  const copyRow = defineCopyRow(module);
  defineCopyRows(module, copyRow);
  defineGatherRows(module, copyRow);
  defineTranspose(module);
  return module;
});

type CopyRow = ReturnType<typeof defineCopyRow>;

function defineCopyRows(module: ModuleBuilder, copyRow: CopyRow): void {
  module.define(
    'copyRows',
    integers('to', 'toStride', 'from', 'fromStride', 'rowBytes', 'rows'),
    ({ to, toStride, from, fromStride, rowBytes, rows }) => {
      return repeatWhile(
        rows,
        copyRow(to, from, rowBytes),
        to.advance(toStride),
        from.advance(fromStride),
        rows.advance(-1),
      );
    },
  );
}

function defineGatherRows(module: ModuleBuilder, copyRow: CopyRow): void {
  module.define(
    'gatherRows',
    integers('to', 'from', 'indices', 'count', 'rowBytes'),
    ({ to, from, indices, count, rowBytes }) => {
      return repeatWhile(
        count,
        copyRow(to, i32.add(from, i32.mul(i32.load(indices), rowBytes)), rowBytes),
        to.advance(rowBytes),
        indices.advance(4),
        count.advance(-1),
      );
    },
  );
}

function defineTranspose(module: ModuleBuilder): void {
  module.define(
    'transpose',
    integers('to', 'toStride', 'from', 'fromStride', 'rows', 'columns'),
    ({ to, toStride, from, fromStride, rows, columns }, scope) => {
      const target = scope.local('i32');
      const source = scope.local('i32');
      const left = scope.local('i32');
      const pointer = scope.local('i32');
      const vectors = scope.locals('v128', 4);
      const spare = scope.locals('v128', 2);
      const start = sequence(source.set(from), target.set(to), left.set(columns));

      const block = sequence(
        pointer.set(source),
        ...vectors.flatMap(vector => [vector.set(v128.load(pointer)), pointer.advance(fromStride)]),
        transpose4x4(vectors, spare),
        pointer.set(target),
        ...vectors.flatMap(vector => [v128.store(pointer, vector), pointer.advance(toStride)]),
      );
      const column = sequence(
        pointer.set(source),
        ...[0, 1, 2, 3].flatMap(i => [i32.store(target, i32.load(pointer), 4 * i), pointer.advance(fromStride)]),
      );
      return sequence(
        repeatWhile(
          i32.geU(rows, 4),
          start,
          repeatWhile(
            i32.geU(left, 4),
            block,
            source.advance(16),
            target.advance(i32.shl(toStride, 2)),
            left.advance(-4),
          ),
          repeatWhile(left, column, source.advance(4), target.advance(toStride), left.advance(-1)),
          from.advance(i32.shl(fromStride, 2)),
          to.advance(16),
          rows.advance(-4),
        ),
        repeatWhile(
          rows,
          start,
          repeatWhile(
            left,
            i32.store(target, i32.load(source)),
            source.advance(4),
            target.advance(toStride),
            left.advance(-1),
          ),
          from.advance(fromStride),
          to.advance(4),
          rows.advance(-1),
        ),
      );
    },
  );
}
