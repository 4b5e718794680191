import {
  type Call,
  type Code,
  i32,
  integers,
  type ModuleBuilder,
  memory,
  repeatWhile,
  sequence,
  v128,
  when,
} from '@frugaljs/wasm-assembly';
import { transpose4x4 } from './transpose4x4.js';

/** Width of a packed panel of the right operand, and of a tile of the product. */
export const PANEL_COLUMNS = 8;
export const PANEL_ROW_BYTES: number = PANEL_COLUMNS * 4;

const VECTORS = PANEL_COLUMNS / 4;

/**
 * Defines `pack(to, b, bDepth, bColumn, depth, columns)`: copies a matrix `[depth, columns]` of 4-byte elements with any
 * byte strides into panels of eight columns, each as `depth` rows of eight, the last one filled up with zeros.
 */
export function definePack(module: ModuleBuilder): void {
  const packRows = definePackRows(module);
  const packColumns = definePackColumns(module);
  const packEdge = definePackEdge(module);
  module.define(
    'pack',
    integers('to', 'b', 'bDepth', 'bColumn', 'depth', 'columns'),
    ({ to, b, bDepth, bColumn, depth, columns }, scope) => {
      const panelBytes = scope.local('i32');
      return sequence(
        panelBytes.set(i32.mul(depth, PANEL_ROW_BYTES)),
        repeatWhile(
          i32.geU(columns, PANEL_COLUMNS),
          when(
            i32.eq(bColumn, 4),
            packRows(to, b, bDepth, depth),
            when(
              i32.eq(bDepth, 4),
              packColumns(to, b, bColumn, depth),
              packEdge(to, b, bDepth, bColumn, depth, PANEL_COLUMNS),
            ),
          ),
          to.advance(panelBytes),
          b.advance(i32.mul(bColumn, PANEL_COLUMNS)),
          columns.advance(-PANEL_COLUMNS),
        ),
        when(columns, sequence(memory.fill(to, 0, panelBytes), packEdge(to, b, bDepth, bColumn, depth, columns))),
      );
    },
  );
}

/** A full panel whose rows are contiguous in `b`. */
function definePackRows(module: ModuleBuilder): Call {
  return module.define('packRows', integers('to', 'b', 'bDepth', 'depth'), ({ to, b, bDepth, depth }) => {
    const vectors = Array.from({ length: VECTORS }, (_, i) => v128.store(to, v128.load(b, 16 * i), 16 * i));
    return repeatWhile(depth, ...vectors, to.advance(PANEL_ROW_BYTES), b.advance(bDepth), depth.advance(-1));
  });
}

/** A full panel whose columns are contiguous in `b`: transposes blocks of four by four. */
function definePackColumns(module: ModuleBuilder): Call {
  return module.define('packColumns', integers('to', 'b', 'bColumn', 'depth'), ({ to, b, bColumn, depth }, scope) => {
    const column = scope.local('i32');
    const block = scope.locals('v128', 4);
    const spare = scope.locals('v128', 2);
    const fourColumns = (at: number): Code =>
      sequence(
        ...block.flatMap(vector => [vector.set(v128.load(column)), column.advance(bColumn)]),
        transpose4x4(block, spare),
        ...block.map((vector, i) => v128.store(to, vector, at + i * PANEL_ROW_BYTES)),
      );
    const oneRow = Array.from({ length: PANEL_COLUMNS }, (_, i) =>
      sequence(i32.store(to, i32.load(column), 4 * i), column.advance(bColumn)),
    );
    return sequence(
      repeatWhile(
        i32.geU(depth, 4),
        column.set(b),
        ...Array.from({ length: VECTORS }, (_, i) => fourColumns(16 * i)),
        to.advance(4 * PANEL_ROW_BYTES),
        b.advance(16),
        depth.advance(-4),
      ),
      repeatWhile(depth, column.set(b), ...oneRow, to.advance(PANEL_ROW_BYTES), b.advance(4), depth.advance(-1)),
    );
  });
}

/** Any panel, element by element; columns from `columns` on stay as they are. */
function definePackEdge(module: ModuleBuilder): Call {
  return module.define(
    'packEdge',
    integers('to', 'b', 'bDepth', 'bColumn', 'depth', 'columns'),
    ({ to, b, bDepth, bColumn, depth, columns }, scope) => {
      const source = scope.local('i32');
      const target = scope.local('i32');
      const left = scope.local('i32');
      return repeatWhile(
        depth,
        source.set(b),
        target.set(to),
        left.set(columns),
        repeatWhile(
          left,
          i32.store(target, i32.load(source)),
          target.advance(4),
          source.advance(bColumn),
          left.advance(-1),
        ),
        to.advance(PANEL_ROW_BYTES),
        b.advance(bDepth),
        depth.advance(-1),
      );
    },
  );
}
