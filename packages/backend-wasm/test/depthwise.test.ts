import { depthwiseConv2d, engine, fused, grads, type Tensor, type Tensor4D, tensor1d } from '@tensorflow/tfjs-core';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { runOn, type Values } from './compare.js';
import {
  eachEntry,
  expectNear,
  expectNearCpu,
  expectPlaces,
  type Geometry,
  geometries,
  gradientOf,
  imageShape,
  images,
  outputSize,
  type Replaced,
  type Shape,
  strangers,
  tensorOf,
} from './geometry.js';

const filterShape = (g: Geometry): Shape => [g.filterHeight, g.filterWidth, g.channels, g.filters];
const outShape = (g: Geometry): Shape => [g.batch, ...outputSize(g), g.channels * g.filters];
const filter = (g: Geometry, replaced = {}): Tensor4D => tensorOf(filterShape(g), g.seed + 1, replaced);
const gradient = (g: Geometry, replaced = {}): Tensor4D => gradientOf(outShape(g), g, replaced);

const forward = (g: Geometry, x = images(g), w = filter(g)): Tensor =>
  depthwiseConv2d(x, w, g.strides, g.pad, 'NHWC', g.dilations);

/** By the name of the kernel: tfjs's gradient functions refuse dilations, the kernels do not. */
const kernel = (name: string, inputs: Record<string, Tensor>, g: Geometry, attrs: object): Tensor => {
  const { strides, pad, dilations } = g;
  return engine().runKernel(name, inputs, { strides, pad, dilations, ...attrs } as never) as Tensor;
};

const toFilter = (g: Geometry, x = images(g), dy = gradient(g)): Tensor =>
  kernel('DepthwiseConv2dNativeBackpropFilter', { x, dy }, g, { filterShape: filterShape(g) });

const toInput = (g: Geometry, dy = gradient(g), w = filter(g)): Tensor =>
  kernel('DepthwiseConv2dNativeBackpropInput', { dy, filter: w }, g, { inputShape: imageShape(g) });

/** Convolution and gradients by their definition, in float64. */
function reference(g: Geometry, which: 'out' | 'filter' | 'input', of: Replaced = () => ({})): Values {
  const shapes = { out: outShape(g), filter: filterShape(g), input: imageShape(g) };
  const [x, w, dy] = [images(g, of('x')), filter(g, of('w')), gradient(g, of('dy'))].map(each =>
    Array.from(each.dataSync()),
  ) as [number[], number[], number[]];
  const shape = shapes[which];
  const data = new Array<number>(shape.reduce((a, b) => a * b, 1)).fill(0);
  const [outHeight, outWidth] = outputSize(g);
  eachEntry(g, (image, [oy, ox], [iy, ix], [i, j]) => {
    for (let c = 0; c < g.channels; c++) {
      const atX = ((image * g.height + iy) * g.width + ix) * g.channels + c;
      for (let k = 0; k < g.filters; k++) {
        const atW = ((i * g.filterWidth + j) * g.channels + c) * g.filters + k;
        const atY = (((image * outHeight + oy) * outWidth + ox) * g.channels + c) * g.filters + k;
        if (which === 'out') data[atY]! += x[atX]! * w[atW]!;
        else if (which === 'filter') data[atW]! += x[atX]! * dy[atY]!;
        else data[atX]! += w[atW]! * dy[atY]!;
      }
    }
  });
  return { shape, dtype: 'float32', data };
}

const small = geometries({ dilated: true, largestFilters: 3 });
const check = (property: (g: Geometry) => Promise<unknown>, all = small, numRuns = 100): Promise<void> =>
  fc.assert(
    fc.asyncProperty(all, async g => void (await property(g))),
    { numRuns },
  );

describe('a depthwise convolution', () => {
  it('is that of the cpu backend, also dilated', () => check(g => expectNearCpu(() => forward(g))));

  it('is what its definition says', () => check(g => expectNear(() => forward(g), [reference(g, 'out')])));

  it('adds a bias and activates', () =>
    check(
      g => {
        const bias = (c: number): number => (c % 5) - 2;
        const { shape, dtype, data } = reference(g, 'out');
        const width = g.channels * g.filters;
        const expected = data.map((value, i) => Math.min(6, Math.max(0, value + bias(i % width))));
        return expectNear(
          () =>
            fused.depthwiseConv2d({
              ...{ x: images(g), filter: filter(g), strides: g.strides, pad: g.pad, dilations: g.dilations },
              bias: tensor1d(Array.from({ length: width }, (_, c) => bias(c))),
              activation: 'relu6',
            } as never),
          [{ shape, dtype, data: expected }],
        );
      },
      small,
      40,
    ));
});

describe('the gradient of a depthwise convolution', () => {
  it('with respect to the filter is what its definition says', () =>
    check(g => expectNear(() => toFilter(g), [reference(g, 'filter')])));

  it('with respect to the input is what its definition says', () =>
    check(g => expectNear(() => toInput(g), [reference(g, 'input')])));

  it('is that of the cpu backend', () =>
    check(g => expectNearCpu(() => [toFilter(g), toInput(g)]), geometries({ largestFilters: 3, short: true })));

  it('is what grad() asks for', () =>
    check(
      g =>
        expectNearCpu(() =>
          grads((x: Tensor, w: Tensor) => forward(g, x as Tensor4D, w as Tensor4D))(
            [images(g), filter(g)],
            gradient(g),
          ),
        ),
      geometries({ largestFilters: 3, short: true }),
      30,
    ));
});

describe('numbers that are not finite', () => {
  const all = (g: Geometry, of: Replaced): Tensor[] => {
    const [x, w, dy] = [images(g, of('x')), filter(g, of('w')), gradient(g, of('dy'))];
    return [forward(g, x, w), toFilter(g, x, dy), toInput(g, dy, w)];
  };

  it('go where they go on the cpu backend', () =>
    fc.assert(
      fc.asyncProperty(
        geometries({ largestFilters: 3, short: true }),
        strangers,
        async (g, of) => void (await expectNearCpu(() => all(g, of))),
      ),
    ));

  it('go where the definition has them, in wide images too', () =>
    fc.assert(
      fc.asyncProperty(geometries({ largestFilters: 3 }), strangers, (g, of) =>
        expectPlaces(
          () => all(g, of),
          [reference(g, 'out', of), reference(g, 'filter', of), reference(g, 'input', of)],
        ),
      ),
    ));
});

describe('what cannot be', () => {
  it('a filter that does not fit', () =>
    expect(
      runOn('wasm', () => depthwiseConv2d(tensorOf([1, 2, 2, 1], 1), tensorOf([5, 5, 1, 1], 1), 1, 'valid')),
    ).rejects.toThrow(/depthwiseConv2d filter: expected a filter that fits into 2 × 2 pixels/));
});
