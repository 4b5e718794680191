import {
  type Code,
  f32,
  f32x4,
  i32,
  integers,
  ModuleBuilder,
  memory,
  repeatWhile,
  sequence,
  v128,
  when,
} from '@frugaljs/wasm-assembly';
import { Program } from '../program.js';
import { defineAddRow } from './row.js';

/** Vector accumulators of a row sum: enough to hide the latency of an addition. */
const ACCUMULATORS = 4;

/**
 * Scaled float32 sums.
 *
 * - `sumRows(to, from, rows, length, scale)`: `to[i] = scale · Σⱼ from[i][j]`.
 * - `sumColumns(to, from, matrices, rows, columns, scale)`: `to[m][j] = scale · Σᵢ from[m][i][j]`.
 */
export const sumProgram: Program<'sumRows' | 'sumColumns'> = new Program('sum', () => {
  const module = new ModuleBuilder();
  defineSumRows(module);
  defineSumColumns(module);
  return module;
});

function defineSumRows(module: ModuleBuilder): void {
  module.define(
    'sumRows',
    { ...integers('to', 'from', 'rows', 'length'), scale: 'f32' },
    ({ to, from, rows, length, scale }, scope) => {
      const left = scope.local('i32');
      const sums = scope.locals('v128', ACCUMULATORS);
      const first = sums[0]!;
      const total = scope.local('f32');
      const swapped = (lanes: readonly [number, number, number, number]): Code =>
        f32x4.add(first, v128.shuffle32(first, first, lanes));
      return repeatWhile(
        rows,
        ...sums.map(sum => sum.set(v128.zero)),
        left.set(length),
        repeatWhile(
          i32.geU(left, 4 * ACCUMULATORS),
          ...sums.map((sum, i) => sum.set(f32x4.add(sum, v128.load(from, 16 * i)))),
          from.advance(16 * ACCUMULATORS),
          left.advance(-4 * ACCUMULATORS),
        ),
        repeatWhile(i32.geU(left, 4), first.set(f32x4.add(first, v128.load(from))), from.advance(16), left.advance(-4)),
        ...sums.slice(1).map(sum => first.set(f32x4.add(first, sum))),
        first.set(swapped([2, 3, 0, 1])),
        first.set(swapped([1, 0, 3, 2])),
        total.set(f32x4.lane0(first)),
        repeatWhile(left, total.set(f32.add(total, f32.load(from))), from.advance(4), left.advance(-1)),
        f32.store(to, f32.mul(total, scale)),
        to.advance(4),
        rows.advance(-1),
      );
    },
  );
}

function defineSumColumns(module: ModuleBuilder): void {
  const addRow = defineAddRow(module, 'addRow', 'float32');
  const scaleRow = module.define(
    'scaleRow',
    { ...integers('row', 'count'), scale: 'f32' },
    ({ row, count, scale }, scope) => {
      const factor = scope.local('v128');
      return sequence(
        factor.set(f32x4.splat(scale)),
        repeatWhile(
          i32.geU(count, 4),
          v128.store(row, f32x4.mul(v128.load(row), factor)),
          row.advance(16),
          count.advance(-4),
        ),
        repeatWhile(count, f32.store(row, f32.mul(f32.load(row), scale)), row.advance(4), count.advance(-1)),
      );
    },
  );
  module.define(
    'sumColumns',
    { ...integers('to', 'from', 'matrices', 'rows', 'columns'), scale: 'f32' },
    ({ to, from, matrices, rows, columns, scale }, scope) => {
      const rowBytes = scope.local('i32');
      const left = scope.local('i32');
      return sequence(
        rowBytes.set(i32.shl(columns, 2)),
        repeatWhile(
          matrices,
          memory.fill(to, 0, rowBytes),
          left.set(rows),
          repeatWhile(left, addRow(to, from, columns), from.advance(rowBytes), left.advance(-1)),
          when(f32.ne(scale, f32.const(1)), scaleRow(to, columns, scale)),
          to.advance(rowBytes),
          matrices.advance(-1),
        ),
      );
    },
  );
}
