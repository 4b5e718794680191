import { ShapeMismatchError } from '@frugaljs/core/errors';
import {
  _FusedMatMul,
  type _FusedMatMulAttrs,
  BatchMatMul,
  type BatchMatMulAttrs,
  broadcast_util,
  type TensorInfo,
  util,
} from '@tensorflow/tfjs-core';
import type { TensorHeap } from '../heap.js';
import { activationKernel, finish } from './activation.js';
import { matrixProduct, repeatRow, stridedMatrix } from './matrix-product.js';
import { type Replacement, replacement, requireFloat32 } from './replacement.js';

/**
 * `matMul`. tfjs's kernel reaches XNNPACK only for one plain matrix product; for transposed operands, which the backward
 * pass is made of, and for batches, as in attention, it runs scalar loops.
 */
export const batchMatMul: Replacement = replacement<Record<'a' | 'b', TensorInfo>, BatchMatMulAttrs>(
  BatchMatMul,
  ({ inputs, attrs, heap }) => batchProduct(heap, { ...inputs, ...attrs }),
);

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
    const kernel = activationKernel('fused.matMul', activation);
    const columns = b.shape[b.shape.length - (transposeB ? 2 : 1)];
    const rowBias = bias?.shape.length === 1 && bias.shape[0] === columns ? bias : undefined;
    const result = batchProduct(heap, { a, b, transposeA, transposeB, bias: rowBias });
    const epilogue = { bias: rowBias === undefined ? bias : null, preluActivationWeights, leakyreluAlpha };
    return finish(heap, result, kernel, epilogue);
  },
);

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
  requireFloat32('matMul', { a, b, bias });
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
