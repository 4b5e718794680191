import { i32, integers, ModuleBuilder, memory, repeatWhile, sequence, when } from '@frugaljs/wasm-assembly';
import { Program } from '../program.js';
import { defineAddRow } from './row.js';

/**
 * Sums rows by segment: `segmentSumFloat32(to, from, ids, rows, rowLength, segments)` and its `Int32` sibling.
 * `to`, of `segments` rows of `rowLength` 4-byte elements, becomes zero; then row `i` of `from` is added to row
 * `ids[i]`. Ids outside `[0, segments)` are dropped.
 */
export const segmentProgram: Program<'segmentSumFloat32' | 'segmentSumInt32'> = new Program('segment', () => {
  const module = new ModuleBuilder();
  defineSegmentSum(module, 'segmentSumFloat32', 'float32');
  defineSegmentSum(module, 'segmentSumInt32', 'int32');
  return module;
});

function defineSegmentSum(module: ModuleBuilder, name: string, type: 'float32' | 'int32'): void {
  const addRow = defineAddRow(module, `${name}AddRow`, type);
  module.define(
    name,
    integers('to', 'from', 'ids', 'rows', 'rowLength', 'segments'),
    ({ to, from, ids, rows, rowLength, segments }, scope) => {
      const rowBytes = scope.local('i32');
      const id = scope.local('i32');
      return sequence(
        rowBytes.set(i32.shl(rowLength, 2)),
        memory.fill(to, 0, i32.mul(rowBytes, segments)),
        repeatWhile(
          rows,
          id.set(i32.load(ids)),
          // Unsigned, so that negative ids are out of range too.
          when(i32.ltU(id, segments), addRow(i32.add(to, i32.mul(id, rowBytes)), from, rowLength)),
          from.advance(rowBytes),
          ids.advance(4),
          rows.advance(-1),
        ),
      );
    },
  );
}
