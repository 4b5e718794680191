import {
  backend_util,
  Cast,
  type CastAttrs,
  Concat,
  type ConcatAttrs,
  Identity,
  PadV2,
  type PadV2Attrs,
  Slice,
  type SliceAttrs,
  SplitV,
  type SplitVAttrs,
  slice_util,
  type TensorInfo,
  Tile,
  type TileAttrs,
  Transpose,
  type TransposeAttrs,
  util,
} from '@tensorflow/tfjs-core';
import type { TensorHeap } from '../heap.js';
import { type Replacement, replacement } from './replacement.js';
import { copyProgram } from './rows.js';

/** `slice`. tfjs's kernel copies the whole input before it picks the slice. */
export const slice: Replacement = replacement<Record<'x', TensorInfo>, SliceAttrs>(
  Slice,
  ({ inputs: { x }, attrs, heap, tfjs }) => {
    if (x.dtype === 'string') return tfjs();
    const [begin, size] = slice_util.parseSliceParams(x as never, attrs.begin, attrs.size) as [number[], number[]];
    return sliceOf(heap, x, begin, size);
  },
);

/** The block of `size` that starts at `begin`. */
function sliceOf(heap: TensorHeap, x: TensorInfo, begin: readonly number[], size: readonly number[]): TensorInfo {
  const out = heap.backend.makeOutput([...size], x.dtype);
  const bytes = util.bytesPerElement(x.dtype);
  const strides = denseStrides(x.shape, bytes);
  const offset = begin.reduce((sum, start, axis) => sum + start * strides[axis]!, heap.offset(x));
  const to = { offset: heap.offset(out), strides: denseStrides(size, bytes) };
  stridedCopy(heap, to, { offset, strides }, size, bytes);
  return out;
}

/** `split`, the gradient of `concat`. tfjs's kernel copies the whole input once per part. */
export const split: Replacement = replacement<Record<'x', TensorInfo>, SplitVAttrs>(
  SplitV,
  ({ inputs: { x }, attrs, heap }) => {
    const axis = util.parseAxisParam(attrs.axis, x.shape)[0]!;
    const begin = new Array<number>(x.shape.length).fill(0);
    return backend_util.prepareSplitSize(x as never, attrs.numOrSizeSplits, axis).map(length => {
      const size = x.shape.map((full, i) => (i === axis ? length : full));
      const part = sliceOf(heap, x, begin, size);
      begin[axis] = begin[axis]! + length;
      return part;
    });
  },
);

/** `concat`. tfjs's kernel makes two typed-array views per row and input. */
export const concat: Replacement = replacement<Record<string, TensorInfo>, ConcatAttrs>(
  Concat,
  ({ inputs, attrs, heap, tfjs }) => {
    // tfjs numbers the inputs: an array, or an object with the keys 0, 1, …
    const parts = Object.values(inputs);
    const first = parts[0]!;
    if (parts.some(({ dtype }) => dtype === 'string' || dtype !== first.dtype)) return tfjs();
    const axis = util.parseAxisParam(attrs.axis, first.shape)[0]!;
    const shapes = parts.map(({ shape }) => shape);
    backend_util.assertParamsConsistent(shapes, axis);
    const shape = backend_util.computeOutShape(shapes, axis);
    const out = heap.backend.makeOutput(shape, first.dtype);
    const bytes = util.bytesPerElement(first.dtype);
    const strides = denseStrides(shape, bytes);
    let offset = heap.offset(out);
    for (const part of parts) {
      const from = { offset: heap.offset(part), strides: denseStrides(part.shape, bytes) };
      stridedCopy(heap, { offset, strides }, from, part.shape, bytes);
      offset += part.shape[axis]! * strides[axis]!;
    }
    return out;
  },
);

/** `pad`, the gradient of `slice`. tfjs's kernel works out a coordinate per element. */
export const pad: Replacement = replacement<Record<'x', TensorInfo>, PadV2Attrs>(
  PadV2,
  ({ inputs: { x }, attrs, heap, tfjs }) => {
    if (x.dtype === 'string') return tfjs();
    const { paddings, constantValue } = attrs;
    const shape = x.shape.map((size, axis) => paddings[axis]![0] + size + paddings[axis]![1]);
    const out = heap.backend.makeOutput(shape, x.dtype);
    const bytes = util.bytesPerElement(x.dtype);
    const strides = denseStrides(shape, bytes);
    heap.backend.typedArrayFromHeap(out).fill(constantValue);
    const offset = strides.reduce((sum, stride, axis) => sum + paddings[axis]![0] * stride, heap.offset(out));
    const from = { offset: heap.offset(x), strides: denseStrides(x.shape, bytes) };
    stridedCopy(heap, { offset, strides }, from, x.shape, bytes);
    return out;
  },
);

/** `transpose`. tfjs's kernel moves one element at a time; this one moves rows, or blocks of four by four. */
export const transpose: Replacement = replacement<Record<'x', TensorInfo>, TransposeAttrs>(
  Transpose,
  ({ inputs: { x }, attrs: { perm }, heap, tfjs }) => {
    if (x.dtype === 'string') return tfjs();
    const shape = perm.map(axis => x.shape[axis]!);
    const out = heap.backend.makeOutput(shape, x.dtype);
    const bytes = util.bytesPerElement(x.dtype);
    const sourceStrides = denseStrides(x.shape, bytes);
    const to = { offset: heap.offset(out), strides: denseStrides(shape, bytes) };
    const from = { offset: heap.offset(x), strides: perm.map(axis => sourceStrides[axis]!) };
    stridedCopy(heap, to, from, shape, bytes);
    return out;
  },
);

/** `tile`, which the gradient of batch normalization is made of. tfjs's kernel works out a coordinate per element. */
export const tile: Replacement = replacement<Record<'x', TensorInfo>, TileAttrs>(
  Tile,
  ({ inputs: { x }, attrs: { reps }, heap, tfjs }) => {
    if (x.dtype === 'string') return tfjs();
    const out = heap.backend.makeOutput(
      x.shape.map((size, axis) => size * reps[axis]!),
      x.dtype,
    );
    const bytes = util.bytesPerElement(x.dtype);
    // Each axis is a pair: repetitions, which stay where they are in the source, and the axis itself.
    const shape = x.shape.flatMap((size, axis) => [reps[axis]!, size]);
    const strides = denseStrides(x.shape, bytes).flatMap(stride => [0, stride]);
    const to = { offset: heap.offset(out), strides: denseStrides(shape, bytes) };
    stridedCopy(heap, to, { offset: heap.offset(x), strides }, shape, bytes);
    return out;
  },
);

/** One side of a copy: byte offset of its first element and byte stride of every axis. */
interface StridedView {
  readonly offset: number;
  readonly strides: readonly number[];
}

/** An axis that is left after merging, with its stride on both sides. */
interface Axis {
  readonly size: number;
  readonly to: number;
  readonly from: number;
}

/** Byte strides of a dense tensor. */
function denseStrides(shape: readonly number[], elementBytes: number): number[] {
  const strides = new Array<number>(shape.length);
  let stride = elementBytes;
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    strides[axis] = stride;
    stride *= shape[axis]!;
  }
  return strides;
}

/**
 * Copies a block of the given shape between two strided layouts of the heap that do not overlap: slices, paddings,
 * concatenations and transpositions of any rank. Neighboring axes that are dense on both sides count as one. What is
 * left goes to WebAssembly two axes at a time: as rows of contiguous bytes, as a matrix to transpose, or, if there is
 * nothing contiguous, as rows of one element.
 */
function stridedCopy(
  heap: TensorHeap,
  to: StridedView,
  from: StridedView,
  shape: readonly number[],
  elementBytes: number,
): void {
  if (shape.includes(0)) return;
  const { copyRows, transpose } = copyProgram.on(heap.memory);
  const axes = mergeAxes(to, from, shape);
  const contiguousInTarget = takeAxis(axes, axis => axis.to === elementBytes);

  if (contiguousInTarget !== undefined && contiguousInTarget.from !== elementBytes && elementBytes === 4) {
    const contiguousInSource = takeAxis(axes, axis => axis.from === elementBytes);
    if (contiguousInSource !== undefined) {
      const { size: rows, from: fromStride } = contiguousInTarget;
      const { size: columns, to: toStride } = contiguousInSource;
      forEachOffset(axes, to.offset, from.offset, (target, source) =>
        transpose(target, toStride, source, fromStride, rows, columns),
      );
      return;
    }
  }
  let rowBytes = elementBytes;
  if (contiguousInTarget?.from === elementBytes) rowBytes *= contiguousInTarget.size;
  else if (contiguousInTarget !== undefined) axes.push(contiguousInTarget);
  const largest = axes.reduce((size, axis) => Math.max(size, axis.size), 1);
  const rows = takeAxis(axes, axis => axis.size === largest) ?? { size: 1, to: 0, from: 0 };
  forEachOffset(axes, to.offset, from.offset, (target, source) =>
    copyRows(target, rows.to, source, rows.from, rowBytes, rows.size),
  );
}

function takeAxis(axes: Axis[], wanted: (axis: Axis) => boolean): Axis | undefined {
  const index = axes.findIndex(wanted);
  return index < 0 ? undefined : axes.splice(index, 1)[0];
}

/** The axes of more than one element, adjacent ones joined where both layouts allow it. */
function mergeAxes(to: StridedView, from: StridedView, shape: readonly number[]): Axis[] {
  const axes: Axis[] = [];
  for (let i = 0; i < shape.length; i++) {
    const axis: Axis = { size: shape[i]!, to: to.strides[i]!, from: from.strides[i]! };
    if (axis.size === 1) continue;
    const outer = axes[axes.length - 1];
    if (outer !== undefined && outer.to === axis.size * axis.to && outer.from === axis.size * axis.from) {
      axes[axes.length - 1] = { size: outer.size * axis.size, to: axis.to, from: axis.from };
    } else {
      axes.push(axis);
    }
  }
  return axes;
}

function forEachOffset(axes: readonly Axis[], to: number, from: number, visit: (to: number, from: number) => void) {
  const [first, ...rest] = axes;
  if (first === undefined) {
    visit(to, from);
    return;
  }
  for (let i = 0; i < first.size; i++) forEachOffset(rest, to + i * first.to, from + i * first.from, visit);
}

/**
 * `clone`. tfjs's kernel copies the data, and every tensor saved for the backward pass is a clone; the other backends
 * share the data and count references.
 */
export const identity: Replacement = replacement<Record<'x', TensorInfo>, object>(Identity, ({ inputs, heap, tfjs }) =>
  inputs.x.dtype === 'string' ? tfjs() : alias(heap, inputs.x),
);

/**
 * `cast`. tfjs's kernel copies even if the type stays, as in every gradient of a product, and stores the low byte of
 * the number when casting to bool.
 */
export const cast: Replacement = replacement<Record<'x', TensorInfo>, CastAttrs>(
  Cast,
  ({ inputs: { x }, attrs, heap, tfjs }) => {
    if (x.dtype === attrs.dtype && x.dtype !== 'string') return alias(heap, x);
    const numeric = x.dtype === 'float32' || x.dtype === 'int32';
    return numeric && attrs.dtype === 'bool' ? toBool(heap, x) : tfjs();
  },
);

function toBool(heap: TensorHeap, x: TensorInfo): TensorInfo {
  const size = util.sizeFromShape(x.shape);
  const out = heap.backend.makeOutput(x.shape, 'bool');
  const { buffer } = heap.memory;
  const View = x.dtype === 'float32' ? Float32Array : Int32Array;
  const from = new View(buffer, heap.offset(x), size);
  const to = new Uint8Array(buffer, heap.offset(out), size);
  for (let i = 0; i < size; i++) to[i] = from[i] === 0 ? 0 : 1;
  return out;
}

/** A tensor that shares the data of `x`, as tfjs's reshape makes them. */
function alias(heap: TensorHeap, { dataId, shape, dtype }: TensorInfo): TensorInfo {
  heap.backend.incRef(dataId);
  return { dataId, shape, dtype };
}
