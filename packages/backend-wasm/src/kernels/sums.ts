import {
  type Code,
  f32,
  f32x4,
  i32,
  integers,
  ModuleBuilder,
  memory,
  repeatWhile,
  sequence,
  v128,
  when,
} from '@frugaljs/wasm-assembly';
import { backend_util, Cast, getKernel, Mean, Sum, type TensorInfo, util } from '@tensorflow/tfjs-core';
import type { TensorHeap } from '../heap.js';
import { Program } from '../program.js';
import { type Replacement, replacement } from './replacement.js';
import { defineAddRow } from './rows.js';

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

/** Vector accumulators of a row sum: enough to hide the latency of an addition. */
const ACCUMULATORS = 4;

/**
 * Scaled float32 sums.
 *
 * - `sumRows(to, from, rows, length, scale)`: `to[i] = scale · Σⱼ from[i][j]`.
 * - `sumColumns(to, from, matrices, rows, columns, scale)`: `to[m][j] = scale · Σᵢ from[m][i][j]`.
 */
export const sumProgram: Program<'sumRows' | 'sumColumns'> = new Program('sum', () => {
  const module = new ModuleBuilder();
  defineSumRows(module);
  defineSumColumns(module);
  return module;
});

function defineSumRows(module: ModuleBuilder): void {
  module.define(
    'sumRows',
    { ...integers('to', 'from', 'rows', 'length'), scale: 'f32' },
    ({ to, from, rows, length, scale }, scope) => {
      const left = scope.local('i32');
      const sums = scope.locals('v128', ACCUMULATORS);
      const first = sums[0]!;
      const total = scope.local('f32');
      const swapped = (lanes: readonly [number, number, number, number]): Code =>
        f32x4.add(first, v128.shuffle32(first, first, lanes));
      return repeatWhile(
        rows,
        ...sums.map(sum => sum.set(v128.zero)),
        left.set(length),
        repeatWhile(
          i32.geU(left, 4 * ACCUMULATORS),
          ...sums.map((sum, i) => sum.set(f32x4.add(sum, v128.load(from, 16 * i)))),
          from.advance(16 * ACCUMULATORS),
          left.advance(-4 * ACCUMULATORS),
        ),
        repeatWhile(i32.geU(left, 4), first.set(f32x4.add(first, v128.load(from))), from.advance(16), left.advance(-4)),
        ...sums.slice(1).map(sum => first.set(f32x4.add(first, sum))),
        first.set(swapped([2, 3, 0, 1])),
        first.set(swapped([1, 0, 3, 2])),
        total.set(f32x4.lane0(first)),
        repeatWhile(left, total.set(f32.add(total, f32.load(from))), from.advance(4), left.advance(-1)),
        f32.store(to, f32.mul(total, scale)),
        to.advance(4),
        rows.advance(-1),
      );
    },
  );
}

function defineSumColumns(module: ModuleBuilder): void {
  const addRow = defineAddRow(module, 'addRow', 'float32');
  const scaleRow = module.define(
    'scaleRow',
    { ...integers('row', 'count'), scale: 'f32' },
    ({ row, count, scale }, scope) => {
      const factor = scope.local('v128');
      return sequence(
        factor.set(f32x4.splat(scale)),
        repeatWhile(
          i32.geU(count, 4),
          v128.store(row, f32x4.mul(v128.load(row), factor)),
          row.advance(16),
          count.advance(-4),
        ),
        repeatWhile(count, f32.store(row, f32.mul(f32.load(row), scale)), row.advance(4), count.advance(-1)),
      );
    },
  );
  module.define(
    'sumColumns',
    { ...integers('to', 'from', 'matrices', 'rows', 'columns'), scale: 'f32' },
    ({ to, from, matrices, rows, columns, scale }, scope) => {
      const rowBytes = scope.local('i32');
      const left = scope.local('i32');
      return sequence(
        rowBytes.set(i32.shl(columns, 2)),
        repeatWhile(
          matrices,
          memory.fill(to, 0, rowBytes),
          left.set(rows),
          repeatWhile(left, addRow(to, from, columns), from.advance(rowBytes), left.advance(-1)),
          when(f32.ne(scale, f32.const(1)), scaleRow(to, columns, scale)),
          to.advance(rowBytes),
          matrices.advance(-1),
        ),
      );
    },
  );
}
