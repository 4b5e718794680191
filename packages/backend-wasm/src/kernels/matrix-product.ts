import type { TensorHeap } from '../heap.js';
import { multiplyProgram, spareBytes } from './multiply-program.js';

/** A matrix on the heap, by the byte strides of its two axes; transposing swaps the strides. */
export interface StridedMatrix {
  readonly offset: number;
  readonly rowStride: number;
  readonly columnStride: number;
}

/**
 * Largest block of the right operand that is packed at once. 512 KiB stay in the second-level cache while all rows of
 * the left operand pass by, and one panel of it (8 KiB) in the first-level cache. The columns are a multiple of a
 * panel's.
 */
const BLOCK_DEPTH = 256;
const BLOCK_COLUMNS = 512;
/** Up to so many rows of the left operand, packing the right one does not pay. */
const FEW_ROWS = 3;
const BLOCK_BYTES = BLOCK_DEPTH * BLOCK_COLUMNS * 4;

/**
 * `c = a·b`, or `c += a·b`, for float32 matrices `a [rows, depth]`, `b [depth, columns]` and a `c [rows, columns]` with
 * contiguous rows. An empty depth makes `c` zero.
 */
export function matrixProduct(
  heap: TensorHeap,
  a: StridedMatrix,
  b: StridedMatrix,
  c: number,
  rows: number,
  depth: number,
  columns: number,
  accumulate: boolean,
): void {
  if (rows === 0 || columns === 0) return;
  const fewRows = rows <= FEW_ROWS && b.columnStride === 4;
  if ((fewRows || depth === 0) && !accumulate) new Float32Array(heap.memory.buffer, c, rows * columns).fill(0);
  if (depth === 0) return;
  if (fewRows) {
    for (let i = 0; i < rows; i++) {
      const row = { ...a, offset: a.offset + i * a.rowStride };
      addRowProduct(heap, row, b, c + 4 * columns * i, depth, columns);
    }
    return;
  }
  const block = heap.scratch(BLOCK_BYTES + spareBytes(BLOCK_DEPTH));
  const spare = block + BLOCK_BYTES;
  const { pack, multiply } = multiplyProgram.on(heap.memory);
  // Blocks of equal depth: a thin last one would cost a whole pass over `c`.
  const depthStep = Math.ceil(depth / Math.ceil(depth / BLOCK_DEPTH));
  for (let column = 0; column < columns; column += BLOCK_COLUMNS) {
    const width = Math.min(BLOCK_COLUMNS, columns - column);
    for (let k = 0; k < depth; k += depthStep) {
      const height = Math.min(depthStep, depth - k);
      const bBlock = b.offset + k * b.rowStride + column * b.columnStride;
      pack(block, bBlock, b.rowStride, b.columnStride, height, width);
      multiply(
        a.offset + k * a.columnStride,
        a.rowStride,
        a.columnStride,
        height,
        block,
        c + 4 * column,
        4 * columns,
        rows,
        width,
        accumulate || k > 0 ? 1 : 0,
        spare,
      );
    }
  }
}

/** Longest sum of a row that is not cut into blocks. */
const LONGEST_SUM = 1024;

/** `c += a·b` for one row `a`. Blocks of a long sum are added up by themselves, as rounding errors grow with the length. */
function addRowProduct(
  heap: TensorHeap,
  a: StridedMatrix,
  b: StridedMatrix,
  c: number,
  depth: number,
  columns: number,
): void {
  const isLong = depth > LONGEST_SUM;
  const sum = isLong ? heap.scratch(4 * columns) : c;
  const { addRowProduct: add, addRow } = multiplyProgram.on(heap.memory);
  for (let k = 0; k < depth; k += LONGEST_SUM) {
    const length = Math.min(LONGEST_SUM, depth - k);
    if (isLong) new Float32Array(heap.memory.buffer, sum, columns).fill(0);
    add(sum, a.offset + k * a.columnStride, a.columnStride, b.offset + k * b.rowStride, b.rowStride, length, columns);
    if (isLong) addRow(c, sum, columns);
  }
}

/** A contiguous `[rows, columns]` matrix, or the transposed view of it. */
export function stridedMatrix(offset: number, columns: number, rows: number, transposed: boolean): StridedMatrix {
  return transposed
    ? { offset, rowStride: 4, columnStride: 4 * rows }
    : { offset, rowStride: 4 * columns, columnStride: 4 };
}

/** Copies a row of floats to the start of each row of a matrix, for products that are added to a bias. */
export function repeatRow(heap: TensorHeap, to: number, row: number, rows: number, columns: number): void {
  const { buffer } = heap.memory;
  const target = new Float32Array(buffer, to, rows * columns);
  const source = new Float32Array(buffer, row, columns);
  for (let i = 0; i < rows; i++) target.set(source, i * columns);
}
