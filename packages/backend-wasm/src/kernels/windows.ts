import { ShapeMismatchError } from '@frugaljs/core/errors';
import {
  type Call,
  type Code,
  type FunctionScope,
  i32,
  integers,
  type Local,
  ModuleBuilder,
  repeatWhile,
  sequence,
  type ValueType,
  v128,
  when,
} from '@frugaljs/wasm-assembly';
import { backend_util, type Conv2DAttrs, util } from '@tensorflow/tfjs-core';
import { type HeapFunction, Program } from '../program.js';
import { defineAddRow, defineCopyRow } from './rows.js';

/**
 * The windows through which a convolution or a pooling sees images `[batch, height, width, channels]`: one per pixel of
 * the output, `filterHeight × filterWidth` entries with gaps where it is dilated, and partly outside of the image where
 * that is padded.
 *
 * What is outside is never touched, so that a padding of zeros does not meet an infinity. The walk hands out runs of
 * pixels whose windows are cut off in the same way, and programs below go through such a run. A run belongs to one row
 * of the output, and runs to no other run's pixels: a range of pixels is a piece of work that can be done by itself.
 */
export class Windows {
  readonly inShape: readonly number[];
  readonly height: number;
  readonly width: number;
  readonly channels: number;
  readonly filterHeight: number;
  readonly filterWidth: number;
  /** Pixels of the output, of all images together. */
  readonly pixels: number;
  readonly #info: backend_util.Conv2DInfo;
  readonly #runs: readonly CutRun[];
  readonly #rows: readonly Cut[];

  readonly outShape: readonly number[];

  /**
   * @param op What errors call the op.
   * @param gradient Shape of the gradient of the output, if there is one.
   * @throws ShapeMismatchError if nothing comes out, or the gradient has another shape.
   */
  constructor(op: string, info: backend_util.Conv2DInfo, gradient?: readonly number[]) {
    check(op, info, gradient);
    this.inShape = info.inShape;
    this.outShape = info.outShape;
    const { inHeight, inWidth, inChannels, outHeight, outWidth, padInfo } = info;
    this.#info = info;
    this.height = inHeight;
    this.width = inWidth;
    this.channels = inChannels;
    this.filterHeight = info.filterHeight;
    this.filterWidth = info.filterWidth;
    this.pixels = info.batchSize * outHeight * outWidth;
    const { strideHeight, dilationHeight, strideWidth, dilationWidth } = info;
    this.#rows = cuts(outHeight, strideHeight, dilationHeight, padInfo.top, this.filterHeight, inHeight);
    this.#runs = runsOf(cuts(outWidth, strideWidth, dilationWidth, padInfo.left, this.filterWidth, inWidth));
  }

  /** Whether the windows are the pixels of the images themselves, in order. */
  get areThePixels(): boolean {
    const { strideHeight, strideWidth, outHeight, outWidth } = this.#info;
    const isPoint = this.filterHeight === 1 && this.filterWidth === 1 && strideHeight === 1 && strideWidth === 1;
    return isPoint && outHeight === this.height && outWidth === this.width && !this.areCut;
  }

  /** Whether some window reaches beyond its image. */
  get areCut(): boolean {
    const isCut = ({ count }: Cut, full: number): boolean => count < full;
    return (
      this.#rows.some(row => isCut(row, this.filterHeight)) ||
      this.#runs.some(({ cut }) => isCut(cut, this.filterWidth))
    );
  }

  /** Visits the runs that make up the pixels from `start` to `end`. The run is another one only until the next visit. */
  walk(start: number, end: number, visit: (run: Run) => void): void {
    const { outHeight, outWidth, strideHeight, strideWidth, dilationHeight, dilationWidth } = this.#info;
    const { channels, width } = this;
    const run: Run = {
      ...{ pixel: 0, pixels: 0, input: 0, tap: 0, rows: 0, columns: 0 },
      pixelStep: strideWidth * channels,
      rowStep: dilationHeight * width * channels,
      columnStep: dilationWidth * channels,
    };
    if (outWidth === 0) return;
    for (let row = Math.floor(start / outWidth); row * outWidth < end; row++) {
      const y = row % outHeight;
      const image = (row - y) / outHeight;
      const down = this.#rows[y]!;
      const first = y * strideHeight - this.#info.padInfo.top + down.first * dilationHeight;
      for (const { from, to, cut } of this.#runs) {
        run.pixel = Math.max(start, row * outWidth + from);
        run.pixels = Math.min(end, row * outWidth + to) - run.pixel;
        if (run.pixels <= 0) continue;
        const x = run.pixel - row * outWidth;
        const left = x * strideWidth - this.#info.padInfo.left + cut.first * dilationWidth;
        run.input = ((image * this.height + first) * width + left) * channels;
        run.tap = down.first * this.filterWidth + cut.first;
        run.rows = cut.count === 0 ? 0 : down.count;
        run.columns = cut.count;
        visit(run);
      }
    }
  }
}

/** What the ops of a convolution and of its gradients are told. */
export type Geometry = Pick<Conv2DAttrs, 'strides' | 'pad' | 'dimRoundingMode'> &
  Partial<Pick<Conv2DAttrs, 'dilations'>>;

/** The sizes of a convolution on images with the channels last. */
export function convolutionInfo(
  images: readonly number[],
  filter: readonly number[],
  { strides, dilations, pad, dimRoundingMode }: Geometry,
  isDepthwise = false,
): backend_util.Conv2DInfo {
  return backend_util.computeConv2DInfo(
    images as [number, number, number, number],
    filter as [number, number, number, number],
    strides,
    dilations ?? 1,
    pad,
    dimRoundingMode,
    isDepthwise,
  );
}

function check(op: string, info: backend_util.Conv2DInfo, gradient: readonly number[] | undefined): void {
  const { outShape, filterHeight, filterWidth, inHeight, inWidth } = info;
  if (outShape.some(size => size < 0)) {
    throw new ShapeMismatchError({
      parameter: `${op} filter`,
      found: `${filterHeight} × ${filterWidth} entries`,
      expected: `a filter that fits into ${inHeight} × ${inWidth} pixels`,
      advice: "Pad the input: pad 'same'.",
    });
  }
  if (gradient !== undefined && !util.arraysEqual(outShape, [...gradient])) {
    throw new ShapeMismatchError({
      parameter: `${op} gradient dy`,
      found: `shape [${gradient}]`,
      expected: `the shape of the output, [${outShape}]`,
    });
  }
}

/** Neighboring pixels of an output row whose windows are cut off alike. Offsets and steps count elements of the input. */
export interface Run {
  /** The first pixel, counted through all images. */
  pixel: number;
  pixels: number;
  /** Where the part of the first window that is inside begins. */
  input: number;
  /** Which entry of the filter that is. */
  tap: number;
  /** The rows and columns of the window that are inside. */
  rows: number;
  columns: number;
  /** From the window of one pixel to that of the next, and from entry to entry within one. */
  readonly pixelStep: number;
  readonly rowStep: number;
  readonly columnStep: number;
}

/** The entries of a window along one axis that are inside. */
interface Cut {
  readonly first: number;
  readonly count: number;
}

interface CutRun {
  readonly from: number;
  readonly to: number;
  readonly cut: Cut;
}

function cuts(windows: number, stride: number, dilation: number, padding: number, size: number, length: number): Cut[] {
  return Array.from({ length: windows }, (_, i) => {
    const start = i * stride - padding;
    const first = Math.min(size, Math.max(0, Math.ceil(-start / dilation)));
    const end = Math.min(size, Math.ceil((length - start) / dilation));
    return { first, count: Math.max(0, end - first) };
  });
}

function runsOf(all: readonly Cut[]): CutRun[] {
  const runs: CutRun[] = [];
  for (const [i, cut] of all.entries()) {
    const last = runs.at(-1);
    if (last !== undefined && last.cut.first === cut.first && last.cut.count === cut.count) {
      runs[runs.length - 1] = { ...last, to: i + 1 };
    } else {
      runs.push({ from: i, to: i + 1, cut });
    }
  }
  return runs;
}

/**
 * What all programs over windows take: byte offsets of the outputs `y`, of the windows' entries in the input `x` and of
 * the filter `w`, the number of pixels, what is added to the three from pixel to pixel, the rows and columns of a window,
 * the steps between them in `x` and between rows in `w` (its columns are contiguous), and the channels.
 */
export type WindowArguments =
  | 'y'
  | 'x'
  | 'w'
  | 'pixels'
  | 'yStep'
  | 'xStep'
  | 'wStep'
  | 'rows'
  | 'columns'
  | 'xRow'
  | 'xColumn'
  | 'wRow'
  | 'channels';

export type WindowLocals = Readonly<Record<WindowArguments, Local>>;

/** Defines a program over windows; it may take more than all do. */
export function defineOverWindows<More extends string = never>(
  module: ModuleBuilder,
  name: string,
  build: (locals: WindowLocals & Readonly<Record<More, Local>>, scope: FunctionScope) => Code,
  more = {} as Readonly<Record<More, ValueType>>,
): Call {
  const names = ['y', 'x', 'w', 'pixels', 'yStep', 'xStep', 'wStep', 'rows', 'columns', 'xRow', 'xColumn', 'wRow'];
  const parameters = { ...integers<WindowArguments>(...(names as WindowArguments[]), 'channels'), ...more };
  return module.define<WindowArguments | More>(name, parameters, build);
}

/**
 * Calls a program for a run. `yStep`, `wStep` and `wRow` count elements, as the run does. `scale` is for a program that
 * takes one more number.
 */
export function callOver(
  { input, pixels, rows, columns, pixelStep, rowStep, columnStep }: Run,
  program: HeapFunction,
  [y, x, w]: readonly [y: number, x: number, w: number],
  [yStep, wStep, wRow]: readonly [yStep: number, wStep: number, wRow: number],
  channels: number,
  scale = 1,
): void {
  const from = x + 4 * input;
  const [xStep, xRow, xColumn] = [4 * pixelStep, 4 * rowStep, 4 * columnStep];
  // Written out: arrays that are spread would take longer than a short run does.
  // biome-ignore format: in the order of the parameters
  program(y, from, w, pixels, 4 * yStep, xStep, 4 * wStep, rows, columns, xRow, xColumn, 4 * wRow, channels, scale);
}

/**
 * Visits the entries of a window: `visit` finds the pointers to them in `x` and `w`. Both are locals of the caller that
 * hold the first entry, and are moved.
 */
export function eachEntry(
  { rows, columns, xRow, xColumn, wRow, channels }: WindowLocals,
  scope: FunctionScope,
  x: Local,
  w: Local,
  visit: (x: Local, w: Local) => Code,
): Code {
  const [row, column, xEntry, wEntry] = scope.locals('i32', 4) as [Local, Local, Local, Local];
  return sequence(
    row.set(rows),
    repeatWhile(
      row,
      xEntry.set(x),
      wEntry.set(w),
      column.set(columns),
      repeatWhile(
        column,
        visit(xEntry, wEntry),
        xEntry.advance(xColumn),
        wEntry.advance(i32.shl(channels, 2)),
        column.advance(-1),
      ),
      x.advance(xRow),
      w.advance(wRow),
      row.advance(-1),
    ),
  );
}

/** How many channels are worked on at once: sixteen, four and one. */
export interface Lanes {
  readonly channels: number;
  /** Vectors that hold them. */
  readonly vectors: number;
  load(address: Local, vector: number): Code;
  store(address: Local, vector: number, value: Code): Code;
}

const wide = (vectors: number): Lanes => ({
  channels: 4 * vectors,
  vectors,
  load: (address, vector) => v128.load(address, 16 * vector),
  store: (address, vector, value) => v128.store(address, value, 16 * vector),
});

const single: Lanes = {
  channels: 1,
  vectors: 1,
  load: address => v128.load32Splat(address),
  store: (address, _, value) => v128.store32Lane0(address, value),
};

/** Goes through channels in blocks; `visit` works on one and the pointers move on to the next. */
export function eachBlock(
  left: Local,
  channels: Local,
  pointers: readonly Local[],
  visit: (lanes: Lanes) => Code,
): Code {
  const blocks = [wide(4), wide(1), single].map(lanes =>
    repeatWhile(
      i32.geU(left, lanes.channels),
      visit(lanes),
      ...pointers.map(pointer => pointer.advance(4 * lanes.channels)),
      left.advance(-lanes.channels),
    ),
  );
  return sequence(left.set(channels), ...blocks);
}

/** Goes through the pixels of a run. */
export function eachPixel({ y, x, w, pixels, yStep, xStep, wStep }: WindowLocals, ...body: readonly Code[]): Code {
  return repeatWhile(pixels, ...body, y.advance(yStep), x.advance(xStep), w.advance(wStep), pixels.advance(-1));
}

/**
 * Windows as rows of a matrix, for products: `gatherWindows` copies the entries of each to `w` ("im2col"), and
 * `addWindows` adds them from there to where they came from ("col2im"). Neither uses `y`.
 */
export const windowProgram: Program<'gatherWindows' | 'addWindows'> = new Program('windows', () => {
  const module = new ModuleBuilder();
  const copyRow = defineCopyRow(module);
  const addRow = defineAddRow(module, 'addRow', 'float32');
  defineMove(module, 'gatherWindows', (x, w, channels) => copyRow(w, x, i32.shl(channels, 2)));
  defineMove(module, 'addWindows', (x, w, channels) => addRow(x, w, channels));
  return module;
});

function defineMove(module: ModuleBuilder, name: string, move: (x: Local, w: Local, channels: Local) => Code): void {
  defineOverWindows(module, name, (locals, scope) => {
    const [x, w, neighbors] = scope.locals('i32', 3) as [Local, Local, Local];
    const { columns, channels, xColumn } = locals;
    return sequence(
      // Neighboring entries without a gap are one.
      neighbors.set(channels),
      when(i32.eq(xColumn, i32.shl(channels, 2)), sequence(neighbors.set(i32.mul(channels, columns)), columns.set(1))),
      eachPixel(
        locals,
        x.set(locals.x),
        w.set(locals.w),
        eachEntry(locals, scope, x, w, (xEntry, wEntry) => move(xEntry, wEntry, neighbors)),
      ),
    );
  });
}
