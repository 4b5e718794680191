import { type Code, f32x4, type Local, ModuleBuilder, sequence, v128 } from '@frugaljs/wasm-assembly';
import {
  AvgPool,
  AvgPool3DGrad,
  type AvgPool3DGradAttrs,
  type AvgPoolAttrs,
  AvgPoolGrad,
  type AvgPoolGradAttrs,
  backend_util,
  type TensorInfo,
  util,
} from '@tensorflow/tfjs-core';
import type { TensorHeap } from '../heap.js';
import { Program } from '../program.js';
import { fillZero, Slices } from './convolution-3d.js';
import { filledOutput, type Replacement, replacement, requireFloat32 } from './replacement.js';
import {
  callOver,
  defineOverWindows,
  eachBlock,
  eachEntry,
  eachPixel,
  type Lanes,
  type WindowLocals,
  Windows,
} from './windows.js';

/**
 * `avgPool`: the mean of what of each window is in the image, as in TensorFlow.
 *
 * tfjs's kernel passes on to XNNPACK, which finds the size of the output by itself. Where it finds another one (sides that
 * are rounded, a number as the padding of a window that is no square) it writes elsewhere, beyond the output too; around a
 * window of one entry it forgets the padding; and NaN becomes -Infinity.
 */
export const avgPool: Replacement = replacement<Record<'x', TensorInfo>, AvgPoolAttrs>(
  AvgPool,
  ({ inputs: { x }, attrs, heap }) => {
    requireFloat32('avgPool', { x });
    const windows = new Windows('avgPool', imagesInfo(x.shape, attrs, attrs.dimRoundingMode));
    return filledOutput(heap, windows.outShape, to => eachRun(heap, windows, 'average', to, heap.offset(x)));
  },
);

/**
 * The gradient of `avgPool`: each entry of a window that is in the image gets an equal share of the window's `dy`. In
 * tfjs the share is that of a whole window, also where the image cuts the window off.
 */
export const avgPoolGrad: Replacement = replacement<Record<'dy' | 'input', TensorInfo>, AvgPoolGradAttrs>(
  AvgPoolGrad,
  ({ inputs: { dy, input }, attrs, heap }) => {
    requireFloat32('avgPool gradient', { dy });
    const windows = new Windows('avgPool', roundedAs(dy.shape, input.shape, attrs), dy.shape);
    return filledOutput(heap, input.shape, to => {
      fillZero(heap, to, input.shape);
      eachRun(heap, windows, 'spread', heap.offset(dy), to);
    });
  },
);

/** The gradient of `avgPool3d`, with the same shares: tfjs's are wrong here, too. Its `avgPool3d` is right. */
export const avgPool3DGrad: Replacement = replacement<Record<'dy' | 'input', TensorInfo>, AvgPool3DGradAttrs>(
  AvgPool3DGrad,
  ({ inputs: { dy, input }, attrs, heap }) => {
    requireFloat32('avgPool3d gradient', { dy });
    const { filterSize, strides, pad, dimRoundingMode } = attrs;
    const shape = input.shape as [number, number, number, number, number];
    const info = backend_util.computePool3DInfo(shape, filterSize, strides, 1, pad, dimRoundingMode);
    const slices = new Slices('avgPool3d', info, dy.shape);
    return filledOutput(heap, shape, to => {
      fillZero(heap, to, shape);
      slices.each((image, out, _, depth) =>
        eachRun(heap, slices.windows, 'spread', heap.offset(dy) + out, to + image, depth),
      );
    });
  },
);

type Rounding = AvgPoolAttrs['dimRoundingMode'];

function imagesInfo(
  images: readonly number[],
  { filterSize, strides, pad }: AvgPoolGradAttrs,
  rounding: Rounding,
): backend_util.Conv2DInfo {
  return backend_util.computePool2DInfo(
    images as [number, number, number, number],
    filterSize,
    strides,
    1,
    pad,
    rounding,
  );
}

/**
 * The sizes of a pooling, from the shape of its output: tfjs-core does not tell the gradient how the output's sides were
 * rounded.
 */
function roundedAs(
  outShape: readonly number[],
  images: readonly number[],
  attrs: AvgPoolGradAttrs,
): backend_util.Conv2DInfo {
  const possible = ([undefined, 'ceil', 'round'] as const).map(rounding => imagesInfo(images, attrs, rounding));
  return possible.find(info => util.arraysEqual(info.outShape, [...outShape])) ?? possible[0]!;
}

/** Runs a program over all windows, given the offsets of output and input. A window of a volume has slices. */
function eachRun(
  heap: TensorHeap,
  windows: Windows,
  name: 'average' | 'spread',
  y: number,
  x: number,
  slices = 1,
): void {
  const program = poolingProgram.on(heap.memory)[name];
  const { channels, pixels } = windows;
  windows.walk(0, pixels, run => {
    const share = 1 / (slices * run.rows * run.columns);
    const at = [y + 4 * channels * run.pixel, x, 0] as const;
    // Windows that begin one pixel after the other are one window on as many more channels.
    if (run.pixelStep === channels) {
      callOver({ ...run, pixels: 1 }, program, at, [0, 0, 0], channels * run.pixels, share);
    } else callOver(run, program, at, [channels, 0, 0], channels, share);
  });
}

/**
 * `average`: `y = share·Σ x` over the entries of each window; `spread`: `x += share·y`. There is no filter `w`. A window
 * without entries has an infinite share: its mean is NaN, 0 / 0, and what it would spread goes nowhere.
 */
const poolingProgram: Program<'average' | 'spread'> = new Program('pooling', () => {
  const module = new ModuleBuilder();
  defineAverage(module);
  defineSpread(module);
  return module;
});

type PoolingLocals = WindowLocals & Readonly<Record<'share', Local>>;

function defineAverage(module: ModuleBuilder): void {
  definePooling(module, 'average', ({ used, y, share, load, store }) => ({
    before: used.map(sum => sum.set(v128.zero)),
    at: from => used.map((sum, i) => sum.set(f32x4.add(sum, load(from, i)))),
    after: used.map((sum, i) => store(y, i, f32x4.mul(sum, share))),
  }));
}

function defineSpread(module: ModuleBuilder): void {
  definePooling(module, 'spread', ({ used, y, share, load, store }) => ({
    before: used.map((part, i) => part.set(f32x4.mul(load(y, i), share))),
    at: to => used.map((part, i) => store(to, i, f32x4.add(load(to, i), part))),
    after: [],
  }));
}

/** A block of channels of one window. */
interface Block extends Lanes {
  /** A register for each vector of the block. */
  readonly used: readonly Local[];
  readonly y: Local;
  readonly share: Code;
}

/** What is done with a block: before the entries of its window, at each of them, and after. */
interface BlockSteps {
  readonly before: readonly Code[];
  at(entry: Local): readonly Code[];
  readonly after: readonly Code[];
}

function definePooling(module: ModuleBuilder, name: string, stepsOf: (block: Block) => BlockSteps): void {
  defineOverWindows(
    module,
    name,
    (locals: PoolingLocals, scope): Code => {
      const [left, x, w, y, xEntry] = scope.locals('i32', 5) as [Local, Local, Local, Local, Local];
      const registers = scope.locals('v128', 4);
      return eachPixel(
        locals,
        ...[x.set(locals.x), y.set(locals.y)],
        eachBlock(left, locals.channels, [x, y], lanes => {
          const used = registers.slice(0, lanes.vectors);
          const { before, at, after } = stepsOf({ ...lanes, used, y, share: f32x4.splat(locals.share) });
          return sequence(
            ...before,
            xEntry.set(x),
            eachEntry(locals, scope, xEntry, w, entry => sequence(...at(entry))),
            ...after,
          );
        }),
      );
    },
    { share: 'f32' },
  );
}
