import { ShapeMismatchError, UnsupportedBackendError } from '@frugaljs/core/errors';
import {
  _FusedMatMul,
  type _FusedMatMulAttrs,
  Add,
  BatchMatMul,
  type BatchMatMulAttrs,
  broadcast_util,
  Elu,
  getKernel,
  LeakyRelu,
  type NamedAttrMap,
  Prelu,
  Relu,
  Relu6,
  Sigmoid,
  type TensorInfo,
  util,
} from '@tensorflow/tfjs-core';
import type { TensorHeap } from '../heap.js';
import { multiplyProgram, spareBytes } from './multiply-program.js';
import { type Replacement, replacement } from './replacement.js';

/**
 * `matMul`. tfjs's kernel reaches XNNPACK only for one plain matrix product; for transposed operands, which the backward
 * pass is made of, and for batches, as in attention, it runs scalar loops.
 */
export const batchMatMul: Replacement = replacement<Record<'a' | 'b', TensorInfo>, BatchMatMulAttrs>(
  BatchMatMul,
  ({ inputs, attrs, heap }) => batchProduct(heap, { ...inputs, ...attrs }),
);

const activationKernels: Readonly<Record<string, string>> = {
  relu: Relu,
  relu6: Relu6,
  elu: Elu,
  sigmoid: Sigmoid,
  leakyrelu: LeakyRelu,
  prelu: Prelu,
};

interface FusedInputs {
  readonly a: TensorInfo;
  readonly b: TensorInfo;
  readonly bias?: TensorInfo | null;
  readonly preluActivationWeights?: TensorInfo | null;
}

/** `fused.matMul`, the product of dense layers: `activation(a·b + bias)`. */
export const fusedMatMul: Replacement = replacement<FusedInputs, _FusedMatMulAttrs>(
  _FusedMatMul,
  ({ inputs: { a, b, bias, preluActivationWeights }, attrs, heap }) => {
    const { transposeA, transposeB, activation, leakyreluAlpha } = attrs;
    const activationKernel = findActivation(activation);
    const columns = b.shape[b.shape.length - (transposeB ? 2 : 1)];
    const rowBias = bias?.shape.length === 1 && bias.shape[0] === columns ? bias : undefined;
    let result = batchProduct(heap, { a, b, transposeA, transposeB, bias: rowBias });
    if (bias != null && rowBias === undefined) result = applyKernel(heap, Add, result, { a: result, b: bias });
    if (activationKernel === undefined) return result;
    const operands: Record<string, TensorInfo> = { x: result };
    if (activationKernel === Prelu && preluActivationWeights != null) operands['alpha'] = preluActivationWeights;
    const options: NamedAttrMap = activationKernel === LeakyRelu ? { alpha: leakyreluAlpha ?? 0 } : {};
    return applyKernel(heap, activationKernel, result, operands, options);
  },
);

function findActivation(activation: string | null | undefined): string | undefined {
  if (activation == null || activation === 'linear') return undefined;
  const kernel = activationKernels[activation];
  if (kernel === undefined) {
    throw new UnsupportedBackendError({
      parameter: 'fused.matMul activation',
      found: activation,
      expected: `linear, ${Object.keys(activationKernels).join(', ')}`,
    });
  }
  return kernel;
}

/** Runs another kernel on an intermediate result, which it uses up. */
function applyKernel(
  { backend }: TensorHeap,
  kernelName: string,
  intermediate: TensorInfo,
  inputs: Record<string, TensorInfo>,
  attrs: NamedAttrMap = {},
): TensorInfo {
  try {
    return getKernel(kernelName, 'wasm').kernelFunc({ inputs, attrs, backend }) as TensorInfo;
  } finally {
    backend.disposeData(intermediate.dataId);
  }
}

/** Operands of `matMul`: `[..., rows, depth] · [..., depth, columns]`, either one stored transposed. */
interface Product {
  readonly a: TensorInfo;
  readonly b: TensorInfo;
  readonly transposeA: boolean;
  readonly transposeB: boolean;
  /** Added to every row of the product. */
  readonly bias?: TensorInfo;
}

/**
 * The batched product of two float32 tensors of rank two or more, with numpy's rules for broadcasting batches.
 * @throws ShapeMismatchError, UnsupportedBackendError
 */
function batchProduct(heap: TensorHeap, product: Product): TensorInfo {
  const { a, b, transposeA, transposeB, bias } = product;
  const [rows, depth] = matrixShape(a, transposeA);
  const [bDepth, columns] = matrixShape(b, transposeB);
  checkOperands(product, depth, bDepth, columns);
  const aBatch = a.shape.slice(0, -2);
  const bBatch = b.shape.slice(0, -2);
  const batch = broadcast_util.assertAndGetBroadcastShape(aBatch, bBatch);
  const out = heap.backend.makeOutput([...batch, rows, columns], 'float32');
  const batches = util.sizeFromShape(batch);

  const aOffset = heap.offset(a);
  const bOffset = heap.offset(b);
  const outOffset = heap.offset(out);
  if (bias !== undefined) repeatRow(heap, outOffset, heap.offset(bias), batches * rows, columns);
  const accumulate = bias !== undefined;

  if (!transposeA && util.sizeFromShape(bBatch) === 1) {
    // The batches of `a` are more rows, so that `b` is packed once.
    const aView = stridedMatrix(aOffset, depth, rows, false);
    const bView = stridedMatrix(bOffset, columns, depth, transposeB);
    matrixProduct(heap, aView, bView, outOffset, batches * rows, depth, columns, accumulate);
    return out;
  }
  for (let i = 0; i < batches; i++) {
    const aView = stridedMatrix(aOffset + 4 * rows * depth * batchIndex(i, batch, aBatch), depth, rows, transposeA);
    const bView = stridedMatrix(
      bOffset + 4 * depth * columns * batchIndex(i, batch, bBatch),
      columns,
      depth,
      transposeB,
    );
    matrixProduct(heap, aView, bView, outOffset + 4 * rows * columns * i, rows, depth, columns, accumulate);
  }
  return out;
}

/** Rows and columns of the matrices of a tensor after the transposition. */
function matrixShape({ shape }: TensorInfo, transposed: boolean): [number, number] {
  const rows = shape[shape.length - 2]!;
  const columns = shape[shape.length - 1]!;
  return transposed ? [columns, rows] : [rows, columns];
}

function checkOperands(
  { a, b, transposeA, transposeB, bias }: Product,
  depth: number,
  bDepth: number,
  columns: number,
) {
  for (const [parameter, tensor] of Object.entries({ a, b, bias })) {
    if (tensor !== undefined && tensor.dtype !== 'float32') {
      throw new UnsupportedBackendError({
        parameter: `matMul ${parameter}`,
        found: tensor.dtype,
        expected: 'float32 on the WASM backend',
        advice: "Cast it first: tf.cast(x, 'float32').",
      });
    }
  }
  if (depth !== bDepth) {
    throw new ShapeMismatchError({
      parameter: 'matMul b',
      found: `inner dimension ${bDepth} (shape [${b.shape}], transposeB ${transposeB})`,
      expected: `inner dimension ${depth} as in a (shape [${a.shape}], transposeA ${transposeA})`,
    });
  }
  if (bias !== undefined && util.sizeFromShape(bias.shape) !== columns) {
    throw new ShapeMismatchError({
      parameter: 'matMul bias',
      found: `shape [${bias.shape}]`,
      expected: `one value per column of the product, [${columns}]`,
    });
  }
}

function repeatRow(heap: TensorHeap, to: number, row: number, rows: number, columns: number): void {
  const { buffer } = heap.memory;
  const target = new Float32Array(buffer, to, rows * columns);
  const source = new Float32Array(buffer, row, columns);
  for (let i = 0; i < rows; i++) target.set(source, i * columns);
}

/** Index, among the matrices of shape `from`, of the one that batch `i` of shape `batch` uses. */
function batchIndex(i: number, batch: readonly number[], from: readonly number[]): number {
  let rest = i;
  let index = 0;
  let stride = 1;
  for (let axis = 1; axis <= from.length; axis++) {
    const size = batch[batch.length - axis]!;
    const own = from[from.length - axis]!;
    if (own !== 1) {
      index += (rest % size) * stride;
      stride *= own;
    }
    rest = Math.floor(rest / size);
  }
  return index;
}

/** A matrix on the heap, by the byte strides of its two axes; transposing swaps the strides. */
interface StridedMatrix {
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
function matrixProduct(
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
function stridedMatrix(offset: number, columns: number, rows: number, transposed: boolean): StridedMatrix {
  return transposed
    ? { offset, rowStride: 4, columnStride: 4 * rows }
    : { offset, rowStride: 4 * columns, columnStride: 4 };
}
