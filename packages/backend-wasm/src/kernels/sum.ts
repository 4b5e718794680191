import { backend_util, Cast, getKernel, Mean, Sum, type TensorInfo, util } from '@tensorflow/tfjs-core';
import type { TensorHeap } from '../heap.js';
import { sumProgram } from '../programs/sum.js';
import { type Replacement, replacement } from '../replacement.js';

interface ReductionAttributes {
  readonly axis: number | number[] | null;
  readonly keepDims: boolean;
}

/**
 * `sum` of float32. tfjs's kernel transposes the reduced axes to the end and adds one number at a time; for an empty
 * input it returns what was in memory. This one is zero there and adds four numbers at a time along any axis.
 */
export const sum: Replacement = replacement<Record<'x', TensorInfo>, ReductionAttributes>(
  Sum,
  ({ inputs: { x }, attrs, heap, tfjs }) => {
    if (x.dtype !== 'float32') return tfjs();
    return scaledSum(heap, x, attrs, 1);
  },
);

/** `mean`, always float32. The mean of nothing is 0, as on tfjs's CPU backend. */
export const mean: Replacement = replacement<Record<'x', TensorInfo>, ReductionAttributes>(
  Mean,
  ({ inputs: { x }, attrs, heap }) => {
    const axes = util.parseAxisParam(attrs.axis as number[], x.shape);
    const count = axes.reduce((product, axis) => product * x.shape[axis]!, 1);
    const scale = count === 0 ? 0 : 1 / count;
    if (x.dtype === 'float32') return scaledSum(heap, x, attrs, scale);
    const { kernelFunc } = getKernel(Cast, 'wasm');
    const float = kernelFunc({ inputs: { x }, attrs: { dtype: 'float32' }, backend: heap.backend }) as TensorInfo;
    try {
      return scaledSum(heap, float, attrs, scale);
    } finally {
      heap.backend.disposeData(float.dataId);
    }
  },
);

function scaledSum(
  heap: TensorHeap,
  x: TensorInfo,
  { axis, keepDims }: ReductionAttributes,
  scale: number,
): TensorInfo {
  const axes = util.parseAxisParam(axis as number[], x.shape);
  const runs = adjacentRuns(axes, x.shape.length);
  // An axis list of `[]` sums over nothing, which still needs one pass to copy.
  if (runs.length === 0) runs.push([0, 0]);
  const { backend } = heap;
  let current = x;
  runs.forEach(([start, end], i) => {
    const last = i === runs.length - 1;
    const next = sumRun(heap, current, start, end, last ? scale : 1);
    if (current !== x) backend.disposeData(current.dataId);
    current = next;
  });
  const [shape] = backend_util.computeOutAndReduceShapes(x.shape, axes);
  return { ...current, shape: keepDims ? backend_util.expandShapeToKeepDim(shape, axes) : shape };
}

/** The axes as runs `[start, end)` of neighbors, the last first, so that summing one leaves the others in place. */
function adjacentRuns(axes: readonly number[], rank: number): [number, number][] {
  const runs: [number, number][] = [];
  for (let axis = rank - 1; axis >= 0; axis--) {
    if (!axes.includes(axis)) continue;
    const run = runs[runs.length - 1];
    if (run !== undefined && run[0] === axis + 1) run[0] = axis;
    else runs.push([axis, axis + 1]);
  }
  return runs;
}

function sumRun(heap: TensorHeap, x: TensorInfo, start: number, end: number, scale: number): TensorInfo {
  const outer = util.sizeFromShape(x.shape.slice(0, start));
  const reduced = util.sizeFromShape(x.shape.slice(start, end));
  const inner = util.sizeFromShape(x.shape.slice(end));
  const out = heap.backend.makeOutput([...x.shape.slice(0, start), ...x.shape.slice(end)], 'float32');
  const { sumRows, sumColumns } = sumProgram.on(heap.memory);
  if (inner === 1) sumRows(heap.offset(out), heap.offset(x), outer, reduced, scale);
  else sumColumns(heap.offset(out), heap.offset(x), outer, reduced, inner, scale);
  return out;
}
