import {
  type Call,
  type Code,
  f32x4,
  i32,
  integers,
  type Local,
  ModuleBuilder,
  repeatWhile,
  select,
  sequence,
  v128,
  when,
} from '@frugaljs/wasm-assembly';
import { Program } from '../program.js';
import { definePack, PANEL_COLUMNS, PANEL_ROW_BYTES } from './pack.js';
import { defineCopyRow } from './row.js';
import { defineRowProduct } from './row-product.js';

/** Rows of a tile of the product. 4 × 8 sums, two vectors of `b` and one value of `a` fit in sixteen registers. */
const TILE_ROWS = 4;
const TILE_BYTES = TILE_ROWS * PANEL_COLUMNS * 4;

/** Bytes of memory that `multiply` needs as `spare`: one tile of the product and the rows of `a` that belong to it. */
export const spareBytes = (depth: number): number => TILE_BYTES + TILE_ROWS * 4 * depth;

const VECTORS = PANEL_COLUMNS / 4;

/**
 * Float32 matrix products in the manner of Goto and van de Geijn, *Anatomy of High-Performance Matrix Multiplication*
 * (ACM TOMS 34(3), 2008): pack a block of `b` into panels, then compute the product in tiles that stay in registers.
 *
 * - `pack(to, b, bDepth, bColumn, depth, columns)` writes panels of eight columns, each as `depth` rows of eight, the
 *   last one filled up with zeros. `to` holds `depth · 8 · ⌈columns / 8⌉` floats.
 * - `multiply(a, aRow, aDepth, depth, panels, c, cRow, rows, columns, accumulate, spare)` computes `c = a·b`, or
 *   `c += a·b`. `spare` are {@link spareBytes} bytes to use.
 * - `addRowProduct(c, a, aDepth, b, bDepth, depth, columns)` is `c += a·b` for one row, without packing.
 *
 * `aRow`, `aDepth`, `bDepth`, `bColumn`, `cRow` are strides in bytes, so a transposed operand is only another pair of
 * strides; the rows of `c` are contiguous.
 */
export const multiplyProgram: Program<'pack' | 'multiply' | 'addRowProduct'> = new Program('multiply', () => {
  const module = new ModuleBuilder();
  definePack(module);
  defineMultiply(module, defineTile(module));
  defineRowProduct(module);
  return module;
});

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
        when(
          accumulate,
          eachSum((sum, row, offset) => sum.set(v128.load(row, offset))),
          eachSum(sum => sum.set(v128.zero)),
        ),
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
