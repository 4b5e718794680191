import {
  Conv2D,
  type Conv2DAttrs,
  Conv2DBackpropFilter,
  type Conv2DBackpropFilterAttrs,
  Conv2DBackpropInput,
  type Conv2DBackpropInputAttrs,
  FusedConv2D,
  type FusedConv2DAttrs,
  getKernel,
  type TensorInfo,
  Transpose,
  util,
} from '@tensorflow/tfjs-core';
import type { TensorHeap } from '../heap.js';
import { activationKernel, type Epilogue, finish } from './activation.js';
import { matrixProduct, repeatRow, stridedMatrix } from './matrix-product.js';
import { multiplyProgram } from './multiply-program.js';
import { filledOutput, type Replacement, replacement, requireFloat32 } from './replacement.js';
import { sumProgram } from './sums.js';
import { callOver, convolutionInfo, type Geometry, Windows, windowProgram } from './windows.js';

/**
 * `conv2d`: each window of the images is a row of a matrix, which is multiplied by the filter. The matrix is never there
 * as a whole, but in bands of rows that stay in the cache.
 */
export const conv2D: Replacement = replacement<Record<'x' | 'filter', TensorInfo>, Conv2DAttrs>(
  Conv2D,
  ({ inputs: { x, filter }, attrs, heap }) => {
    requireFloat32('conv2d', { x, filter });
    return inChannelsLast(heap, attrs.dataFormat, [x], images => convolution(heap, images[0]!, filter, attrs));
  },
);

/** `fused.conv2d`: `activation(conv2d(x, filter) + bias)`. */
export const fusedConv2D: Replacement = replacement<Record<'x' | 'filter', TensorInfo> & Epilogue, FusedConv2DAttrs>(
  FusedConv2D,
  ({ inputs: { x, filter, bias, preluActivationWeights }, attrs, heap }) => {
    const { activation, leakyreluAlpha, dataFormat } = attrs;
    const kernel = activationKernel('fused.conv2d', activation);
    requireFloat32('fused.conv2d', { x, filter, bias });
    const channels = filter.shape[3]!;
    const rowBias = bias != null && dataFormat !== 'NCHW' && util.sizeFromShape(bias.shape) === channels ? bias : null;
    const result = inChannelsLast(heap, dataFormat, [x], images =>
      convolution(heap, images[0]!, filter, attrs, rowBias),
    );
    return finish(heap, result, kernel, {
      bias: rowBias === null ? bias : null,
      preluActivationWeights,
      leakyreluAlpha,
    });
  },
);

/**
 * The gradient of `conv2d` with respect to its input, and the forward pass of `conv2dTranspose`: a product by the
 * transposed filter gives what every window receives, and windows are added up where they overlap.
 */
export const conv2DBackpropInput: Replacement = replacement<
  Record<'dy' | 'filter', TensorInfo>,
  Conv2DBackpropInputAttrs
>(Conv2DBackpropInput, ({ inputs: { dy, filter }, attrs, heap }) => {
  requireFloat32('conv2d gradient', { dy, filter });
  return inChannelsLast(heap, attrs.dataFormat, [dy], ([gradient], shape) => {
    const windows = new Windows(
      'conv2d',
      convolutionInfo(shape(attrs.inputShape), filter.shape, attrs),
      gradient!.shape,
    );
    return inputGradient(heap, windows, gradient!, filter);
  });
});

/** The gradient of `conv2d` with respect to the filter, which tfjs's WASM backend lacks. */
export const conv2DBackpropFilter: Replacement = replacement<Record<'x' | 'dy', TensorInfo>, Conv2DBackpropFilterAttrs>(
  Conv2DBackpropFilter,
  ({ inputs: { x, dy }, attrs, heap }) => {
    requireFloat32('conv2d gradient', { x, dy });
    const { filterShape } = attrs;
    return inChannelsLast(
      heap,
      attrs.dataFormat,
      [x, dy],
      ([images, gradient]) => {
        const windows = new Windows('conv2d', convolutionInfo(images!.shape, filterShape, attrs), gradient!.shape);
        return filterGradient(heap, windows, images!, gradient!, filterShape);
      },
      false,
    );
  },
);

const TO_LAST = [0, 2, 3, 1];
const TO_FIRST = [0, 3, 1, 2];

/**
 * Runs work on images whose channels come last, as all kernels here want them; others are transposed, and so is the
 * result if it is images. `shape` brings a shape into that order.
 */
function inChannelsLast(
  heap: TensorHeap,
  dataFormat: string | undefined,
  images: readonly TensorInfo[],
  work: (images: readonly TensorInfo[], shape: (shape: readonly number[]) => number[]) => TensorInfo,
  givesImages = true,
): TensorInfo {
  if (dataFormat !== 'NCHW') return work(images, shape => [...shape]);
  const temporary: TensorInfo[] = [];
  const transposed = (x: TensorInfo, perm: readonly number[]): TensorInfo =>
    getKernel(Transpose, 'wasm').kernelFunc({
      inputs: { x },
      attrs: { perm: [...perm] },
      backend: heap.backend,
    }) as TensorInfo;
  try {
    for (const image of images) temporary.push(transposed(image, TO_LAST));
    const result = work([...temporary], shape => TO_LAST.map(axis => shape[axis]!));
    if (!givesImages) return result;
    temporary.push(result);
    return transposed(result, TO_FIRST);
  } finally {
    for (const { dataId } of temporary) heap.backend.disposeData(dataId);
  }
}

/** Floats of the largest band of windows: 1 MiB. A band has at least so many rows, however large the windows are. */
const BAND_FLOATS = 2 ** 18;
const BAND_ROWS = 32;
/** More rows than this do not make a product faster. */
const MOST_ROWS = 512;

/**
 * Goes through the pixels in bands, with memory for the windows of one band. Each band is a piece of work of its own,
 * except that windows overlap where they are added up.
 */
function eachBand(heap: TensorHeap, windows: Windows, visit: (start: number, end: number, rows: number) => void): void {
  const depth = depthOf(windows);
  const size = Math.min(MOST_ROWS, Math.max(BAND_ROWS, Math.floor(BAND_FLOATS / Math.max(1, depth))), windows.pixels);
  if (size <= 0) return;
  const band = heap.backend.makeOutput([size, depth], 'float32');
  try {
    const offset = heap.offset(band);
    for (let start = 0; start < windows.pixels; start += size) {
      visit(start, Math.min(windows.pixels, start + size), offset);
    }
  } finally {
    heap.backend.disposeData(band.dataId);
  }
}

/** Numbers that a window looks at: rows of the filter as a matrix. */
function depthOf({ filterHeight, filterWidth, channels }: Windows): number {
  return filterHeight * filterWidth * channels;
}

/** Copies the windows of the pixels from `start` to `end` to rows at `to`, zeros for what is outside of the images. */
function gatherWindows(heap: TensorHeap, windows: Windows, x: number, to: number, start: number, end: number): void {
  const depth = depthOf(windows);
  const { filterHeight, filterWidth, channels } = windows;
  const { gatherWindows: gather } = windowProgram.on(heap.memory);
  windows.walk(start, end, run => {
    const rows = to + 4 * depth * (run.pixel - start);
    if (run.rows < filterHeight || run.columns < filterWidth) {
      new Uint8Array(heap.memory.buffer, rows, 4 * depth * run.pixels).fill(0);
    }
    callOver(run, gather, [0, x, rows + 4 * channels * run.tap], [0, depth, filterWidth * channels], channels);
  });
}

function convolution(
  heap: TensorHeap,
  x: TensorInfo,
  filter: TensorInfo,
  attrs: Geometry,
  bias: TensorInfo | null = null,
): TensorInfo {
  const windows = new Windows('conv2d', convolutionInfo(x.shape, filter.shape, attrs));
  const columns = filter.shape[3]!;
  return filledOutput(heap, windows.outShape, to => {
    if (bias !== null) repeatRow(heap, to, heap.offset(bias), windows.pixels, columns);
    convolve(heap, windows, heap.offset(x), heap.offset(filter), to, columns, bias !== null);
  });
}

/** Writes, or adds, the convolution of images at `x` with a filter at `w`. */
export function convolve(
  heap: TensorHeap,
  windows: Windows,
  x: number,
  w: number,
  to: number,
  columns: number,
  accumulate: boolean,
): void {
  const depth = depthOf(windows);
  const matrix = stridedMatrix(w, columns, depth, false);
  if (windows.areThePixels) {
    const rows = stridedMatrix(x, depth, windows.pixels, false);
    matrixProduct(heap, rows, matrix, to, windows.pixels, depth, columns, accumulate);
  } else if (windows.areCut && !haveFiniteSum(heap, w, depth * columns)) {
    if (!accumulate) zero(heap, to, windows.pixels * columns);
    const { addRowProduct } = multiplyProgram.on(heap.memory);
    addEntries(windows, (pixel, entry, tap, count) => {
      const row = w + 4 * columns * count * tap;
      addRowProduct(to + 4 * columns * pixel, x + 4 * entry, 4, row, 4 * columns, count, columns);
    });
  } else {
    eachBand(heap, windows, (start, end, band) => {
      gatherWindows(heap, windows, x, band, start, end);
      const rows = stridedMatrix(band, depth, end - start, false);
      matrixProduct(heap, rows, matrix, to + 4 * columns * start, end - start, depth, columns, accumulate);
    });
  }
}

function filterGradient(
  heap: TensorHeap,
  windows: Windows,
  x: TensorInfo,
  dy: TensorInfo,
  shape: readonly number[],
): TensorInfo {
  return filledOutput(heap, shape, to =>
    writeFilterGradient(heap, windows, heap.offset(x), heap.offset(dy), to, shape[3]!),
  );
}

/** Pixels that are added up by themselves: rounding errors grow with the length of a sum. */
const LONGEST_SUM = 128;

/** Writes the gradient with respect to the filter. */
export function writeFilterGradient(
  heap: TensorHeap,
  windows: Windows,
  x: number,
  dy: number,
  to: number,
  columns: number,
): void {
  const depth = depthOf(windows);
  zero(heap, to, depth * columns);
  const add = (rows: number, start: number, count: number): void => {
    for (let i = 0; i < count; i += LONGEST_SUM) {
      const length = Math.min(LONGEST_SUM, count - i);
      const transposed = stridedMatrix(rows + 4 * depth * i, length, depth, true);
      const matrix = stridedMatrix(dy + 4 * columns * (start + i), columns, length, false);
      matrixProduct(heap, transposed, matrix, to, depth, length, columns, true);
    }
  };
  if (windows.areThePixels) {
    add(x, 0, windows.pixels);
    return;
  }
  eachBand(heap, windows, (start, end, band) => {
    gatherWindows(heap, windows, x, band, start, end);
    add(band, start, end - start);
  });
  if (!windows.areCut || haveFiniteSum(heap, to, depth * columns)) return;
  // A padding of zeros met an infinity: once more, without it.
  zero(heap, to, depth * columns);
  addEntries(windows, (pixel, entry, tap, count) => {
    const transposed = stridedMatrix(x + 4 * entry, 1, count, false);
    const matrix = stridedMatrix(dy + 4 * columns * pixel, columns, 1, false);
    matrixProduct(heap, transposed, matrix, to + 4 * columns * count * tap, count, 1, columns, true);
  });
}

function inputGradient(heap: TensorHeap, windows: Windows, dy: TensorInfo, filter: TensorInfo): TensorInfo {
  const { inShape } = windows;
  return filledOutput(heap, inShape, to => {
    zero(heap, to, util.sizeFromShape([...inShape]));
    addInputGradient(heap, windows, heap.offset(dy), heap.offset(filter), to, filter.shape[3]!);
  });
}

/** Adds the gradient with respect to the images to what is at `to`. */
export function addInputGradient(
  heap: TensorHeap,
  windows: Windows,
  dy: number,
  w: number,
  to: number,
  columns: number,
): void {
  const depth = depthOf(windows);
  const { channels, filterWidth } = windows;
  const matrix = stridedMatrix(w, depth, columns, true);
  if (windows.areThePixels) {
    const rows = stridedMatrix(dy, columns, windows.pixels, false);
    matrixProduct(heap, rows, matrix, to, windows.pixels, columns, depth, true);
    return;
  }
  eachBand(heap, windows, (start, end, band) => {
    const rows = stridedMatrix(dy + 4 * columns * start, columns, end - start, false);
    matrixProduct(heap, rows, matrix, band, end - start, columns, depth, false);
    const { addWindows } = windowProgram.on(heap.memory);
    windows.walk(start, end, run => {
      const window = band + 4 * (depth * (run.pixel - start) + channels * run.tap);
      callOver(run, addWindows, [0, to, window], [0, depth, filterWidth * channels], channels);
    });
  });
}

function zero(heap: TensorHeap, offset: number, count: number): void {
  new Float32Array(heap.memory.buffer, offset, count).fill(0);
}

/**
 * The slow way around a padding of zeros, which an infinite or undefined number would turn into NaN: visits every entry of
 * every window that is inside of its image, with its offset in the images, its place in the filter and the channels.
 */
function addEntries(
  windows: Windows,
  visit: (pixel: number, entry: number, tap: number, channels: number) => void,
): void {
  const { channels, filterWidth, pixels } = windows;
  windows.walk(0, pixels, run => {
    for (let i = 0; i < run.pixels; i++) {
      for (let row = 0; row < run.rows; row++) {
        for (let column = 0; column < run.columns; column++) {
          const entry = run.input + i * run.pixelStep + row * run.rowStep + column * run.columnStep;
          visit(run.pixel + i, entry, run.tap + row * filterWidth + column, channels);
        }
      }
    }
  });
}

/** Whether the sum of numbers is finite: false if one of them is not. */
function haveFiniteSum(heap: TensorHeap, offset: number, count: number): boolean {
  const result = heap.scratch(4);
  sumProgram.on(heap.memory).sumRows(result, offset, 1, count, 1);
  return Number.isFinite(new Float32Array(heap.memory.buffer, result, 1)[0]);
}
