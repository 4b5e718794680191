import {
  type Call,
  type Code,
  f32,
  f32x4,
  i32,
  i32x4,
  integers,
  type Local,
  ModuleBuilder,
  memory,
  repeatWhile,
  sequence,
  v128,
  when,
} from '@frugaljs/wasm-assembly';
import { Program } from '../program.js';

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

function defineCopyRows(module: ModuleBuilder, copyRow: Call): void {
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

function defineGatherRows(module: ModuleBuilder, copyRow: Call): void {
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

/** From this many bytes on, the engine's bulk copy beats a loop over vectors. */
const BULK_COPY_BYTES = 1024;

/** Defines `copyRow(to, from, bytes)`: copies non-overlapping bytes, fast for short rows too. */
export function defineCopyRow(module: ModuleBuilder): Call {
  return module.define('copyRow', integers('to', 'from', 'bytes'), ({ to, from, bytes }) => {
    const copyWhile = (size: number, copy: Code): Code =>
      repeatWhile(i32.geU(bytes, size), copy, to.advance(size), from.advance(size), bytes.advance(-size));
    return when(
      i32.geU(bytes, BULK_COPY_BYTES),
      memory.copy(to, from, bytes),
      sequence(
        copyWhile(16, v128.store(to, v128.load(from))),
        copyWhile(4, i32.store(to, i32.load(from))),
        copyWhile(1, i32.store8(to, i32.load8U(from))),
      ),
    );
  });
}

/** Defines `addRow(to, from, count)` or its `int32` sibling: `to[i] += from[i]` for `count` elements of 4 bytes. */
export function defineAddRow(module: ModuleBuilder, name: string, type: 'float32' | 'int32'): Call {
  const scalar = type === 'float32' ? f32 : i32;
  const vector = type === 'float32' ? f32x4 : i32x4;
  return module.define(name, integers('to', 'from', 'count'), ({ to, from, count }) => {
    return sequence(
      repeatWhile(
        i32.geU(count, 4),
        v128.store(to, vector.add(v128.load(to), v128.load(from))),
        to.advance(16),
        from.advance(16),
        count.advance(-4),
      ),
      repeatWhile(
        count,
        scalar.store(to, scalar.add(scalar.load(to), scalar.load(from))),
        to.advance(4),
        from.advance(4),
        count.advance(-1),
      ),
    );
  });
}

/** Turns the four rows of a 4×4 block, one vector each, into its columns, in place; `spare` are two vectors to use. */
export function transpose4x4(rows: readonly Local[], spare: readonly Local[]): Code {
  const [a, b, c, d] = rows as [Local, Local, Local, Local];
  const [x, y] = spare as [Local, Local];
  return sequence(
    x.set(v128.shuffle32(a, b, [2, 6, 3, 7])),
    a.set(v128.shuffle32(a, b, [0, 4, 1, 5])),
    y.set(v128.shuffle32(c, d, [2, 6, 3, 7])),
    c.set(v128.shuffle32(c, d, [0, 4, 1, 5])),
    b.set(v128.shuffle32(a, c, [2, 3, 6, 7])),
    a.set(v128.shuffle32(a, c, [0, 1, 4, 5])),
    c.set(v128.shuffle32(x, y, [0, 1, 4, 5])),
    d.set(v128.shuffle32(x, y, [2, 3, 6, 7])),
  );
}
