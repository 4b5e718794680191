import type { TensorHeap } from '../heap.js';
import { copyProgram } from '../programs/copy.js';

/** One side of a copy: byte offset of its first element and byte stride of every axis. */
export interface StridedView {
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
export function denseStrides(shape: readonly number[], elementBytes: number): number[] {
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
export function stridedCopy(
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
