import {
  type Call,
  type Code,
  f32,
  f32x4,
  i32,
  integers,
  type Local,
  ModuleBuilder,
  memory,
  repeatWhile,
  select,
  sequence,
  v128,
  when,
} from '@frugaljs/wasm-assembly';
import { Program } from '../program.js';
import { defineAddRow, defineCopyRow, transpose4x4 } from './rows.js';

/** Width of a packed panel of the right operand, and of a tile of the product. */
const PANEL_COLUMNS = 8;
const PANEL_ROW_BYTES: number = PANEL_COLUMNS * 4;

const VECTORS = PANEL_COLUMNS / 4;

/** Rows of a tile of the product. 4 × 8 sums, two vectors of `b` and one value of `a` fit in sixteen registers. */
const TILE_ROWS = 4;
const TILE_BYTES = TILE_ROWS * PANEL_COLUMNS * 4;

/** Bytes of memory that `multiply` needs as `spare`: one tile of the product and the rows of `a` that belong to it. */
export const spareBytes = (depth: number): number => TILE_BYTES + TILE_ROWS * 4 * depth;

/**
 * Float32 matrix products in the manner of Goto and van de Geijn, *Anatomy of High-Performance Matrix Multiplication*
 * (ACM TOMS 34(3), 2008): pack a block of `b` into panels, then compute the product in tiles that stay in registers.
 *
 * - `pack(to, b, bDepth, bColumn, depth, columns)` writes panels of eight columns, each as `depth` rows of eight, the
 *   last one filled up with zeros. `to` holds `depth · 8 · ⌈columns / 8⌉` floats.
 * - `multiply(a, aRow, aDepth, depth, panels, c, cRow, rows, columns, accumulate, spare)` computes `c = a·b`, or
 *   `c += a·b`. `spare` are {@link spareBytes} bytes to use.
 * - `addRowProduct(c, a, aDepth, b, bDepth, depth, columns)` is `c += a·b` for one row, without packing.
 * - `addRow(c, a, columns)` is `c += a` for one row.
 *
 * `aRow`, `aDepth`, `bDepth`, `bColumn`, `cRow` are strides in bytes, so a transposed operand is only another pair of
 * strides; the rows of `c` are contiguous.
 */
export const multiplyProgram: Program<'pack' | 'multiply' | 'addRowProduct' | 'addRow'> = new Program(
  'multiply',
  () => {
    const module = new ModuleBuilder();
    definePack(module);
    defineMultiply(module, defineTile(module));
    defineRowProduct(module);
    defineAddRow(module, 'addRow', 'float32');
    return module;
  },
);

/**
 * One tile of the product of up to four rows of `a` and one panel. Rows beyond `rows` repeat the last row, in `a` and
 * in `c` alike, so they store what is stored there anyway.
 */
function defineTile(module: ModuleBuilder): Call {
  return module.define(
    'tile',
    integers('a', 'aRow', 'aDepth', 'depth', 'panel', 'c', 'cRow', 'rows', 'accumulate'),
    ({ a, aRow, aDepth, depth, panel, c, cRow, rows, accumulate }, scope) => {
      const aRows = scope.locals('i32', TILE_ROWS);
      const cRows = scope.locals('i32', TILE_ROWS);
      const sums = Array.from({ length: TILE_ROWS }, () => scope.locals('v128', VECTORS));
      const value = scope.local('v128');
      const bVectors = scope.locals('v128', VECTORS);
      const end = scope.local('i32');

      const pointers = (pointer: readonly Local[], first: Local, stride: Local): Code[] =>
        pointer.map((local, i) => {
          if (i === 0) return local.set(first);
          const previous = pointer[i - 1]!;
          return local.set(select(i32.add(previous, stride), previous, i32.gtU(rows, i)));
        });
      const eachSum = (visit: (sum: Local, row: Local, offset: number) => Code): Code =>
        sequence(...sums.flatMap((row, i) => row.map((sum, j) => visit(sum, cRows[i]!, 16 * j))));

      return sequence(
        ...pointers(aRows, a, aRow),
        ...pointers(cRows, c, cRow),
        eachSum(sum => sum.set(v128.zero)),
        end.set(i32.add(panel, i32.mul(depth, PANEL_ROW_BYTES))),
        // Not unrolled: measured, unrolling by two or four loses a quarter of the speed in V8.
        repeatWhile(
          i32.ne(panel, end),
          ...bVectors.map((vector, j) => vector.set(v128.load(panel, 16 * j))),
          ...sums.flatMap((row, i) => [
            value.set(v128.load32Splat(aRows[i]!)),
            ...row.map((sum, j) => sum.set(f32x4.add(sum, f32x4.mul(value, bVectors[j]!)))),
          ]),
          ...aRows.map(row => row.advance(aDepth)),
          panel.advance(PANEL_ROW_BYTES),
        ),
        // Only now, so that the rounding errors of a long sum are those of its blocks and not of all that came before.
        when(
          accumulate,
          eachSum((sum, row, offset) => sum.set(f32x4.add(sum, v128.load(row, offset)))),
        ),
        eachSum((sum, row, offset) => v128.store(row, sum, offset)),
      );
    },
  );
}

function defineMultiply(module: ModuleBuilder, tile: Call): void {
  const edgeTile = defineEdgeTile(module, tile);
  const gatherTileRows = defineGatherTileRows(module);
  module.define(
    'multiply',
    integers('a', 'aRow', 'aDepth', 'depth', 'panels', 'c', 'cRow', 'rows', 'columns', 'accumulate', 'spare'),
    ({ a, aRow, aDepth, depth, panels, c, cRow, rows, columns, accumulate, spare }, scope) => {
      const panel = scope.local('i32');
      const target = scope.local('i32');
      const left = scope.local('i32');
      const tileRows = scope.local('i32');
      // The operand as the tiles read it.
      const [tileA, tileARow, tileADepth] = scope.locals('i32', 3) as [Local, Local, Local];
      const gathered = scope.local('i32');
      const chooseOperand = when(
        i32.and(i32.and(i32.eq(aRow, 4), i32.eq(tileRows, TILE_ROWS)), i32.gtU(columns, PANEL_COLUMNS)),
        sequence(
          gathered.set(i32.add(spare, TILE_BYTES)),
          gatherTileRows(gathered, a, aDepth, depth),
          tileA.set(gathered),
          tileARow.set(4),
          tileADepth.set(4 * TILE_ROWS),
        ),
        sequence(tileA.set(a), tileARow.set(aRow), tileADepth.set(aDepth)),
      );
      return repeatWhile(
        rows,
        tileRows.set(select(TILE_ROWS, rows, i32.gtU(rows, TILE_ROWS))),
        chooseOperand,
        panel.set(panels),
        target.set(c),
        left.set(columns),
        repeatWhile(
          i32.geU(left, PANEL_COLUMNS),
          tile(tileA, tileARow, tileADepth, depth, panel, target, cRow, tileRows, accumulate),
          panel.advance(i32.mul(depth, PANEL_ROW_BYTES)),
          target.advance(PANEL_ROW_BYTES),
          left.advance(-PANEL_COLUMNS),
        ),
        when(
          left,
          edgeTile(tileA, tileARow, tileADepth, depth, panel, target, cRow, tileRows, accumulate, left, spare),
        ),
        a.advance(i32.mul(aRow, TILE_ROWS)),
        c.advance(i32.mul(cRow, TILE_ROWS)),
        rows.set(i32.sub(rows, tileRows)),
      );
    },
  );
}

/**
 * Brings four rows of a transposed `a` together: there they are four neighbors per step of the depth, and every panel
 * would go through as many cache lines again, which for a width of a power of two fall into few sets of the cache.
 */
function defineGatherTileRows(module: ModuleBuilder): Call {
  return module.define('gatherTileRows', integers('to', 'a', 'aDepth', 'depth'), ({ to, a, aDepth, depth }) => {
    return repeatWhile(depth, v128.store(to, v128.load(a)), to.advance(16), a.advance(aDepth), depth.advance(-1));
  });
}

/** A tile of fewer than eight columns, computed in `spare`, since a full one would write past the row's end. */
function defineEdgeTile(module: ModuleBuilder, tile: Call): Call {
  const copyRow = defineCopyRow(module);
  return module.define(
    'edgeTile',
    integers('a', 'aRow', 'aDepth', 'depth', 'panel', 'c', 'cRow', 'rows', 'accumulate', 'columns', 'spare'),
    ({ a, aRow, aDepth, depth, panel, c, cRow, rows, accumulate, columns, spare }, scope) => {
      const row = scope.local('i32');
      const inside = scope.local('i32');
      const left = scope.local('i32');
      const copy = (to: Local, from: Local): Code =>
        sequence(
          row.set(c),
          inside.set(spare),
          left.set(rows),
          repeatWhile(
            left,
            copyRow(to, from, i32.shl(columns, 2)),
            row.advance(cRow),
            inside.advance(PANEL_ROW_BYTES),
            left.advance(-1),
          ),
        );
      return sequence(
        when(accumulate, copy(inside, row)),
        tile(a, aRow, aDepth, depth, panel, spare, PANEL_ROW_BYTES, rows, accumulate),
        copy(row, inside),
      );
    },
  );
}

/**
 * Defines `pack(to, b, bDepth, bColumn, depth, columns)`: copies a matrix `[depth, columns]` of 4-byte elements with any
 * byte strides into panels of eight columns, each as `depth` rows of eight, the last one filled up with zeros.
 */
function definePack(module: ModuleBuilder): void {
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

/** Rows of `b` that `addRowProduct` adds up per visit of `c`, so that `c` is loaded and stored less often than `b` is read. */
const STEP = 4;

/**
 * Defines `addRowProduct(c, a, aDepth, b, bDepth, depth, columns)`: `c += a·b` for one row `a`, with strides in bytes.
 * The rows of `b` are contiguous and read once, in order; for few rows of `a`, packing `b` would cost more than the
 * product.
 */
function defineRowProduct(module: ModuleBuilder): void {
  const addRows = (name: string, rows: number): Call =>
    module.define(name, integers('c', 'a', 'aDepth', 'b', 'bDepth', 'columns'), (parameters, scope) => {
      const { c, a, aDepth, b, bDepth, columns } = parameters;
      const pointers = scope.locals('i32', rows);
      const values = scope.locals('v128', rows);
      const prepare = pointers.flatMap((pointer, i): Code[] => [
        pointer.set(i === 0 ? b : i32.add(pointers[i - 1]!, bDepth)),
        values[i]!.set(v128.load32Splat(a)),
        a.advance(aDepth),
      ]);
      const move = (bytes: number): Code[] => [
        ...pointers.map(pointer => pointer.advance(bytes)),
        c.advance(bytes),
        columns.advance(-bytes / 4),
      ];
      const terms = (load: (pointer: Local) => Code): Code =>
        pointers.map((pointer, i) => f32x4.mul(values[i]!, load(pointer))).reduce((sum, term) => f32x4.add(sum, term));
      return sequence(
        ...prepare,
        repeatWhile(
          i32.geU(columns, 4),
          v128.store(
            c,
            f32x4.add(
              v128.load(c),
              terms(pointer => v128.load(pointer)),
            ),
          ),
          ...move(16),
        ),
        repeatWhile(
          columns,
          f32.store(c, f32.add(f32.load(c), f32x4.lane0(terms(pointer => v128.load32Splat(pointer))))),
          ...move(4),
        ),
      );
    });
  const addSome = addRows('addRowsOfProduct', STEP);
  const addOne = addRows('addRowOfProduct', 1);
  module.define(
    'addRowProduct',
    integers('c', 'a', 'aDepth', 'b', 'bDepth', 'depth', 'columns'),
    ({ c, a, aDepth, b, bDepth, depth, columns }) => {
      const advance = (rows: number): Code[] => [
        a.advance(i32.mul(aDepth, rows)),
        b.advance(i32.mul(bDepth, rows)),
        depth.advance(-rows),
      ];
      return sequence(
        repeatWhile(i32.geU(depth, STEP), addSome(c, a, aDepth, b, bDepth, columns), ...advance(STEP)),
        repeatWhile(depth, addOne(c, a, aDepth, b, bDepth, columns), ...advance(1)),
      );
    },
  );
}
