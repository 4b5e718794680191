import {
  backend_util,
  Conv3D,
  type Conv3DAttrs,
  Conv3DBackpropFilterV2,
  type Conv3DBackpropFilterV2Attrs,
  Conv3DBackpropInputV2,
  type Conv3DBackpropInputV2Attrs,
  type TensorInfo,
  util,
} from '@tensorflow/tfjs-core';
import type { TensorHeap } from '../heap.js';
import { addInputGradient, convolve, writeFilterGradient } from './convolution.js';
import { multiplyProgram } from './multiply-program.js';
import { filledOutput, type Replacement, replacement, requireFloat32 } from './replacement.js';
import { Windows } from './windows.js';

/** `conv3d`: each slice of the output is a sum of convolutions of slices of the input. tfjs's kernel is scalar loops. */
export const conv3D: Replacement = replacement<Record<'x' | 'filter', TensorInfo>, Conv3DAttrs>(
  Conv3D,
  ({ inputs: { x, filter }, attrs, heap }) => {
    requireFloat32('conv3d', { x, filter });
    const slices = new Slices('conv3d', volumesInfo(x.shape, filter.shape, attrs));
    return filledOutput(heap, slices.outShape, to => {
      fillZero(heap, to, slices.outShape);
      slices.each((image, out, tap) =>
        convolve(
          heap,
          slices.windows,
          heap.offset(x) + image,
          heap.offset(filter) + tap,
          to + out,
          slices.columns,
          true,
        ),
      );
    });
  },
);

/** The gradient of `conv3d` with respect to its input, which tfjs's kernel gets wrong. */
export const conv3DBackpropInput: Replacement = replacement<
  Record<'dy' | 'filter', TensorInfo>,
  Conv3DBackpropInputV2Attrs
>(Conv3DBackpropInputV2, ({ inputs: { dy, filter }, attrs, heap }) => {
  requireFloat32('conv3d gradient', { dy, filter });
  const slices = new Slices('conv3d', volumesInfo(attrs.inputShape, filter.shape, attrs), dy.shape);
  return filledOutput(heap, attrs.inputShape, to => {
    fillZero(heap, to, attrs.inputShape);
    slices.each((image, out, tap) =>
      addInputGradient(
        heap,
        slices.windows,
        heap.offset(dy) + out,
        heap.offset(filter) + tap,
        to + image,
        slices.columns,
      ),
    );
  });
});

/** The gradient of `conv3d` with respect to the filter. tfjs's kernel is scalar loops. */
export const conv3DBackpropFilter: Replacement = replacement<
  Record<'x' | 'dy', TensorInfo>,
  Conv3DBackpropFilterV2Attrs
>(Conv3DBackpropFilterV2, ({ inputs: { x, dy }, attrs, heap }) => {
  requireFloat32('conv3d gradient', { x, dy });
  const { filterShape } = attrs;
  const slices = new Slices('conv3d', volumesInfo(x.shape, filterShape, attrs), dy.shape);
  const { columns, windows } = slices;
  const [, height, width, channels] = filterShape;
  const tapSize = height * width * channels * columns;
  return filledOutput(heap, filterShape, to => {
    fillZero(heap, to, filterShape);
    // The gradient of one slice of the filter from one slice of the input, to be added up.
    const part = filledOutput(heap, [tapSize], () => {});
    try {
      const sum = heap.offset(part);
      slices.each((image, out, tap) => {
        writeFilterGradient(heap, windows, heap.offset(x) + image, heap.offset(dy) + out, sum, columns);
        multiplyProgram.on(heap.memory).addRow(to + tap, sum, tapSize);
      });
    } finally {
      heap.backend.disposeData(part.dataId);
    }
  });
});

/** The sizes of a convolution on volumes with the channels last. */
function volumesInfo(
  volumes: readonly number[],
  filter: readonly number[],
  { strides, pad, dilations }: Pick<Conv3DAttrs, 'strides' | 'pad'> & Partial<Pick<Conv3DAttrs, 'dilations'>>,
): backend_util.Conv3DInfo {
  return backend_util.computeConv3DInfo(
    volumes as [number, number, number, number, number],
    filter as [number, number, number, number, number],
    strides,
    dilations ?? 1,
    pad,
  );
}

export function fillZero(heap: TensorHeap, offset: number, shape: readonly number[]): void {
  new Float32Array(heap.memory.buffer, offset, util.sizeFromShape([...shape])).fill(0);
}

/** A convolution or pooling of volumes as those of their slices, which are images. */
export class Slices {
  /** The windows of a slice. */
  readonly windows: Windows;
  readonly outShape: readonly number[];
  readonly columns: number;
  readonly #info: backend_util.Conv3DInfo;

  /**
   * @param op What errors call the op.
   * @param gradient Shape of the gradient of the output, if there is one.
   */
  constructor(op: string, info: backend_util.Conv3DInfo, gradient?: readonly number[]) {
    this.#info = info;
    const { inHeight, inWidth, inChannels, outHeight, outWidth, outChannels, padInfo } = info;
    this.outShape = info.outShape;
    this.columns = outChannels;
    const { top, bottom, left, right } = padInfo;
    this.windows = new Windows(op, {
      ...info,
      batchSize: 1,
      inShape: [1, inHeight, inWidth, inChannels],
      outShape: [1, outHeight, outWidth, outChannels],
      filterShape: info.filterShape.slice(1) as [number, number, number, number],
      padInfo: { top, bottom, left, right, type: padInfo.type },
    });
    if (gradient !== undefined) util.assertShapesMatch([...gradient], info.outShape, `${op} gradient dy: `);
  }

  /**
   * Visits what belongs together: byte offsets of a slice of the input, of the output and of the filter, and how many
   * slices of the filter meet the input there.
   */
  each(visit: (image: number, out: number, tap: number, taps: number) => void): void {
    const { batchSize, inDepth, inHeight, inWidth, inChannels, outDepth, outHeight, outWidth, padInfo } = this.#info;
    const { filterDepth, filterHeight, filterWidth, strideDepth, dilationDepth } = this.#info;
    const imageBytes = 4 * inHeight * inWidth * inChannels;
    const outBytes = 4 * outHeight * outWidth * this.columns;
    const tapBytes = 4 * filterHeight * filterWidth * inChannels * this.columns;
    const taps = Array.from({ length: filterDepth }, (_, tap) => tap);
    for (let volume = 0; volume < batchSize; volume++) {
      for (let out = 0; out < outDepth; out++) {
        const sliceOf = (tap: number): number => out * strideDepth - padInfo.front + tap * dilationDepth;
        const inside = taps.filter(tap => sliceOf(tap) >= 0 && sliceOf(tap) < inDepth);
        for (const tap of inside) {
          const image = (volume * inDepth + sliceOf(tap)) * imageBytes;
          visit(image, (volume * outDepth + out) * outBytes, tap * tapBytes, inside.length);
        }
      }
    }
  }
}
