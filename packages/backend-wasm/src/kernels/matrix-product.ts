import type { TensorHeap } from '../heap.js';
import { multiplyProgram, spareBytes } from '../programs/multiply.js';

/** A matrix on the heap, by the byte strides of its two axes; transposing swaps the strides. */
export interface MatrixView {
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
  a: MatrixView,
  b: MatrixView,
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
    const { addRowProduct } = multiplyProgram.on(heap.memory);
    for (let i = 0; i < rows; i++) {
      const aRow = a.offset + i * a.rowStride;
      addRowProduct(c + 4 * columns * i, aRow, a.columnStride, b.offset, b.rowStride, depth, columns);
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

/** A contiguous `[rows, columns]` matrix, or the transposed view of it. */
export function matrixView(offset: number, columns: number, rows: number, transposed: boolean): MatrixView {
  return transposed
    ? { offset, rowStride: 4, columnStride: 4 * rows }
    : { offset, rowStride: 4 * columns, columnStride: 4 };
}
