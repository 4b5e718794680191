import {
  f32,
  f32x4,
  i32,
  integers,
  type Local,
  ModuleBuilder,
  repeatWhile,
  sequence,
  v128,
} from '@frugaljs/wasm-assembly';
import {
  DepthwiseConv2dNative,
  type DepthwiseConv2dNativeAttrs,
  DepthwiseConv2dNativeBackpropFilter,
  type DepthwiseConv2dNativeBackpropFilterAttrs,
  DepthwiseConv2dNativeBackpropInput,
  type DepthwiseConv2dNativeBackpropInputAttrs,
  FusedDepthwiseConv2D,
  type FusedDepthwiseConv2DAttrs,
  type TensorInfo,
  util,
} from '@tensorflow/tfjs-core';
import type { TensorHeap } from '../heap.js';
import { Program } from '../program.js';
import { activationKernel, type Epilogue, finish } from './activation.js';
import { filledOutput, type Replacement, replacement, requireFloat32 } from './replacement.js';
import {
  callOver,
  convolutionInfo,
  defineOverWindows,
  eachBlock,
  eachEntry,
  eachPixel,
  type Geometry,
  Windows,
} from './windows.js';

/** `depthwiseConv2d`: every channel has filters of its own, `channelMultiplier` of them. */
export const depthwiseConv2D: Replacement = replacement<Record<'x' | 'filter', TensorInfo>, DepthwiseConv2dNativeAttrs>(
  DepthwiseConv2dNative,
  ({ inputs: { x, filter }, attrs, heap }) => {
    requireFloat32('depthwiseConv2d', { x, filter });
    return convolution(heap, x, filter, attrs);
  },
);

/** `fused.depthwiseConv2d`: `activation(depthwiseConv2d(x, filter) + bias)`. */
export const fusedDepthwiseConv2D: Replacement = replacement<
  Record<'x' | 'filter', TensorInfo> & Epilogue,
  FusedDepthwiseConv2DAttrs
>(FusedDepthwiseConv2D, ({ inputs: { x, filter, bias, preluActivationWeights }, attrs, heap }) => {
  const { activation, leakyreluAlpha } = attrs;
  const kernel = activationKernel('fused.depthwiseConv2d', activation);
  requireFloat32('fused.depthwiseConv2d', { x, filter, bias });
  const result = convolution(heap, x, filter, attrs);
  return finish(heap, result, kernel, { bias, preluActivationWeights, leakyreluAlpha });
});

/** The gradient of `depthwiseConv2d` with respect to its input, which tfjs's WASM backend lacks. */
export const depthwiseConv2DBackpropInput: Replacement = replacement<
  Record<'dy' | 'filter', TensorInfo>,
  DepthwiseConv2dNativeBackpropInputAttrs
>(DepthwiseConv2dNativeBackpropInput, ({ inputs: { dy, filter }, attrs, heap }) => {
  requireFloat32('depthwiseConv2d gradient', { dy, filter });
  const windows = windowsOf(attrs.inputShape, filter.shape, attrs, dy.shape);
  return filledOutput(heap, attrs.inputShape, to => {
    new Float32Array(heap.memory.buffer, to, util.sizeFromShape(attrs.inputShape)).fill(0);
    overImages(heap, windows, filter.shape, to, 'write', (images, start, end) =>
      eachRun(heap, windows, 'addToInput', heap.offset(dy), images, heap.offset(filter), start, end),
    );
  });
});

/** The gradient of `depthwiseConv2d` with respect to the filter, which tfjs's WASM backend lacks. */
export const depthwiseConv2DBackpropFilter: Replacement = replacement<
  Record<'x' | 'dy', TensorInfo>,
  DepthwiseConv2dNativeBackpropFilterAttrs
>(DepthwiseConv2dNativeBackpropFilter, ({ inputs: { x, dy }, attrs, heap }) => {
  requireFloat32('depthwiseConv2d gradient', { x, dy });
  const { filterShape } = attrs;
  const windows = windowsOf(x.shape, filterShape, attrs, dy.shape);
  return filledOutput(heap, filterShape, to => {
    new Float32Array(heap.memory.buffer, to, util.sizeFromShape(filterShape)).fill(0);
    overImages(heap, windows, filterShape, heap.offset(x), 'read', (images, start, end) =>
      eachRun(heap, windows, 'addToFilter', heap.offset(dy), images, to, start, end),
    );
  });
});

function convolution(heap: TensorHeap, x: TensorInfo, filter: TensorInfo, attrs: Geometry): TensorInfo {
  const windows = windowsOf(x.shape, filter.shape, attrs);
  return filledOutput(heap, windows.outShape, to =>
    overImages(heap, windows, filter.shape, heap.offset(x), 'read', (images, start, end) =>
      eachRun(heap, windows, 'convolve', to, images, heap.offset(filter), start, end),
    ),
  );
}

/** The windows of a convolution; their channels are those of the output, `channelMultiplier` for each of the input. */
function windowsOf(
  images: readonly number[],
  filter: readonly number[],
  geometry: Geometry,
  gradient?: readonly number[],
): Windows {
  const info = convolutionInfo(images, filter, geometry, true);
  return new Windows('depthwiseConv2d', { ...info, inChannels: info.outChannels }, gradient);
}

/** Runs a program over the windows of a range of pixels, given the offsets of output, images and filter. */
function eachRun(
  heap: TensorHeap,
  windows: Windows,
  name: 'convolve' | 'addToInput' | 'addToFilter',
  y: number,
  x: number,
  w: number,
  start: number,
  end: number,
): void {
  const program = depthwiseProgram.on(heap.memory)[name];
  const { channels, filterWidth } = windows;
  windows.walk(start, end, run => {
    const at = [y + 4 * channels * run.pixel, x, w + 4 * channels * run.tap] as const;
    callOver(run, program, at, [channels, 0, channels * filterWidth], channels);
  });
}

/**
 * Runs work on the images at an offset. Where a channel has several filters, each image gets as many channels as come out:
 * repeated before the work reads them, or added up after it has written them, in memory for one image.
 */
function overImages(
  heap: TensorHeap,
  { channels, pixels, inShape }: Windows,
  filter: readonly number[],
  offset: number,
  use: 'read' | 'write',
  work: (images: number, start: number, end: number) => void,
): void {
  const multiplier = filter[3]!;
  if (multiplier === 1) {
    work(offset, 0, pixels);
    return;
  }
  const [batch, height, width, narrow] = inShape as [number, number, number, number];
  const size = height * width * narrow;
  const { backend } = heap;
  const wide = backend.makeOutput([height, width, channels], 'float32');
  try {
    const to = heap.offset(wide);
    for (let image = 0; image < batch; image++) {
      const { repeatChannels, sumChannels } = depthwiseProgram.on(heap.memory);
      const from = offset + 4 * size * image;
      if (use === 'read') repeatChannels(to, from, size, multiplier);
      else new Float32Array(heap.memory.buffer, to, size * multiplier).fill(0);
      const perImage = pixels / batch;
      // The work counts the entries of all images before this one.
      work(to - 4 * size * multiplier * image, perImage * image, perImage * (image + 1));
      if (use === 'write') sumChannels(from, to, size, multiplier);
    }
  } finally {
    backend.disposeData(wide.dataId);
  }
}

/**
 * - `convolve`: `y = Σ x·w` over the entries of each window; `addToInput`: `x += y·w`; `addToFilter`: `w += Σ x·y` over the
 *   pixels. Each channel by itself.
 * - `repeatChannels(to, from, count, times)` writes each of `count` numbers `times` times; `sumChannels` adds up as many.
 */
const depthwiseProgram: Program<'convolve' | 'addToInput' | 'addToFilter' | 'repeatChannels' | 'sumChannels'> =
  new Program('depthwise', () => {
    const module = new ModuleBuilder();
    defineConvolve(module);
    defineAddToInput(module);
    defineAddToFilter(module);
    defineRepeatChannels(module);
    defineSumChannels(module);
    return module;
  });

function defineConvolve(module: ModuleBuilder): void {
  defineOverWindows(module, 'convolve', (locals, scope) => {
    const [left, x, w, y, xEntry, wEntry] = scope.locals('i32', 6) as [Local, Local, Local, Local, Local, Local];
    const sums = scope.locals('v128', 4);
    return eachPixel(
      locals,
      ...[x.set(locals.x), w.set(locals.w), y.set(locals.y)],
      eachBlock(left, locals.channels, [x, w, y], ({ vectors, load, store }) => {
        const used = sums.slice(0, vectors);
        return sequence(
          ...used.map(sum => sum.set(v128.zero)),
          ...[xEntry.set(x), wEntry.set(w)],
          eachEntry(locals, scope, xEntry, wEntry, (from, filter) =>
            sequence(...used.map((sum, i) => sum.set(f32x4.add(sum, f32x4.mul(load(from, i), load(filter, i)))))),
          ),
          ...used.map((sum, i) => store(y, i, sum)),
        );
      }),
    );
  });
}

function defineAddToInput(module: ModuleBuilder): void {
  defineOverWindows(module, 'addToInput', (locals, scope) => {
    const [left, x, w, y, xEntry, wEntry] = scope.locals('i32', 6) as [Local, Local, Local, Local, Local, Local];
    const gradients = scope.locals('v128', 4);
    return eachPixel(
      locals,
      ...[x.set(locals.x), w.set(locals.w), y.set(locals.y)],
      eachBlock(left, locals.channels, [x, w, y], ({ vectors, load, store }) => {
        const used = gradients.slice(0, vectors);
        return sequence(
          ...used.map((gradient, i) => gradient.set(load(y, i))),
          ...[xEntry.set(x), wEntry.set(w)],
          eachEntry(locals, scope, xEntry, wEntry, (to, filter) =>
            sequence(
              ...used.map((gradient, i) => store(to, i, f32x4.add(load(to, i), f32x4.mul(gradient, load(filter, i))))),
            ),
          ),
        );
      }),
    );
  });
}

function defineAddToFilter(module: ModuleBuilder): void {
  defineOverWindows(module, 'addToFilter', (locals, scope) => {
    const [left, x, w, y, pixelX, pixelY, pixel] = scope.locals('i32', 7) as [
      ...[Local, Local, Local, Local, Local, Local, Local],
    ];
    const sums = scope.locals('v128', 4);
    // The sum of a run is added as a whole: rounding errors are those of a run and not of all pixels.
    return eachEntry(locals, scope, locals.x, locals.w, (xEntry, wEntry) =>
      sequence(
        ...[x.set(xEntry), w.set(wEntry), y.set(locals.y)],
        eachBlock(left, locals.channels, [x, w, y], ({ vectors, load, store }) => {
          const used = sums.slice(0, vectors);
          return sequence(
            ...used.map(sum => sum.set(v128.zero)),
            ...[pixelX.set(x), pixelY.set(y), pixel.set(locals.pixels)],
            repeatWhile(
              pixel,
              ...used.map((sum, i) => sum.set(f32x4.add(sum, f32x4.mul(load(pixelX, i), load(pixelY, i))))),
              ...[pixelX.advance(locals.xStep), pixelY.advance(locals.yStep), pixel.advance(-1)],
            ),
            ...used.map((sum, i) => store(w, i, f32x4.add(load(w, i), sum))),
          );
        }),
      ),
    );
  });
}

function defineRepeatChannels(module: ModuleBuilder): void {
  module.define('repeatChannels', integers('to', 'from', 'count', 'times'), ({ to, from, count, times }, scope) => {
    const left = scope.local('i32');
    return repeatWhile(
      count,
      left.set(times),
      repeatWhile(left, i32.store(to, i32.load(from)), to.advance(4), left.advance(-1)),
      from.advance(4),
      count.advance(-1),
    );
  });
}

function defineSumChannels(module: ModuleBuilder): void {
  module.define('sumChannels', integers('to', 'from', 'count', 'times'), ({ to, from, count, times }, scope) => {
    const left = scope.local('i32');
    const sum = scope.local('f32');
    return repeatWhile(
      count,
      left.set(times),
      sum.set(f32.const(0)),
      repeatWhile(left, sum.set(f32.add(sum, f32.load(from))), from.advance(4), left.advance(-1)),
      f32.store(to, sum),
      to.advance(4),
      count.advance(-1),
    );
  });
}
