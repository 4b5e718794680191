import {
  cast,
  conv2d,
  conv2dTranspose,
  engine,
  fused,
  grads,
  memory,
  setBackend,
  type Tensor,
  type Tensor4D,
  tensor,
  tensor1d,
  transpose,
} from '@tensorflow/tfjs-core';
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
const outShape = (g: Geometry): Shape => [g.batch, ...outputSize(g), g.filters];
const filter = (g: Geometry, replaced = {}): Tensor4D => tensorOf(filterShape(g), g.seed + 1, replaced);
const gradient = (g: Geometry, replaced = {}): Tensor4D => gradientOf(outShape(g), g, replaced);

const forward = (g: Geometry, x = images(g), w = filter(g)): Tensor =>
  conv2d(x, w, g.strides, g.pad, 'NHWC', g.dilations);

/** A quadratic filter. */
const square = (size: number): Pick<Geometry, 'filterHeight' | 'filterWidth' | 'strides' | 'dilations'> => ({
  ...{ filterHeight: size, filterWidth: size },
  ...{ strides: [1, 1], dilations: [1, 1] },
});

/** Runs a kernel by its name: with the gradients of dilated convolutions, which tfjs's gradient functions refuse. */
const kernel = (name: string, inputs: Record<string, Tensor>, attrs: object): Tensor =>
  engine().runKernel(name, inputs, attrs as never) as Tensor;

const toFilter = (g: Geometry, x = images(g), dy = gradient(g)): Tensor =>
  kernel(
    'Conv2DBackpropFilter',
    { x, dy },
    { strides: g.strides, pad: g.pad, dataFormat: 'NHWC', dimRoundingMode: undefined, filterShape: filterShape(g) },
  );

const toInput = (g: Geometry, dy = gradient(g), w = filter(g)): Tensor =>
  kernel(
    'Conv2DBackpropInput',
    { dy, filter: w },
    { strides: g.strides, pad: g.pad, dataFormat: 'NHWC', dimRoundingMode: undefined, inputShape: imageShape(g) },
  );

/** Convolution and its gradients by their definition, in float64. */
function reference(g: Geometry, which: 'out' | 'filter' | 'input', of: Replaced = () => ({})): Values {
  const shapes = { out: outShape(g), filter: filterShape(g), input: imageShape(g) };
  const [x, w, dy] = [images(g, of('x')), filter(g, of('w')), gradient(g, of('dy'))].map(each => each.dataSync()) as [
    Float32Array,
    Float32Array,
    Float32Array,
  ];
  const shape = shapes[which];
  const data = new Array<number>(shape.reduce((a, b) => a * b, 1)).fill(0);
  const [outHeight, outWidth] = outputSize(g);
  eachEntry(g, (image, [oy, ox], [iy, ix], [i, j]) => {
    for (let c = 0; c < g.channels; c++) {
      const atX = ((image * g.height + iy) * g.width + ix) * g.channels + c;
      for (let k = 0; k < g.filters; k++) {
        const atW = ((i * g.filterWidth + j) * g.channels + c) * g.filters + k;
        const atY = ((image * outHeight + oy) * outWidth + ox) * g.filters + k;
        if (which === 'out') data[atY]! += x[atX]! * w[atW]!;
        else if (which === 'filter') data[atW]! += x[atX]! * dy[atY]!;
        else data[atX]! += w[atW]! * dy[atY]!;
      }
    }
  });
  return { shape, dtype: 'float32', data };
}

const check = (property: (g: Geometry) => Promise<unknown>, all = geometries(), numRuns = 100): Promise<void> =>
  fc.assert(
    fc.asyncProperty(all, async g => void (await property(g))),
    { numRuns },
  );

describe('a convolution', () => {
  it('is that of the cpu backend, also dilated', () =>
    check(g => expectNearCpu(() => forward(g)), geometries({ dilated: true, short: true })));

  it('is what its definition says', () =>
    check(g => expectNear(() => forward(g), [reference(g, 'out')]), geometries({ dilated: true })));

  it('of a larger image goes by bands', () =>
    expectNearCpu(() =>
      [3, 1].map(stride => conv2d(tensorOf([2, 61, 67, 5], 1), tensorOf([3, 3, 5, 9], 2), stride, 'same')),
    ));

  it('of a long sequence goes by parts of a row', () =>
    expectNearCpu(() => conv2d(tensorOf([1, 1, 3001, 33], 1), tensorOf([1, 7, 33, 5], 2), 1, 'same')));

  it('with the channels first', () =>
    check(g =>
      // The cpu backend reads explicit paddings of this order from the wrong axes.
      expectNear(() => {
        const [x, w] = [transpose(images(g), [0, 3, 1, 2]) as Tensor4D, filter(g)];
        return transpose(conv2d(x, w, g.strides, 'same', 'NCHW'), [0, 2, 3, 1]);
      }, [reference({ ...g, pad: 'same' }, 'out')]),
    ));
});

describe('the gradient of a convolution', () => {
  it('with respect to the filter is that of the cpu backend', () =>
    check(g => expectNearCpu(() => toFilter(g)), geometries({ short: true })));

  it('with respect to the input is that of the cpu backend', () => check(g => expectNearCpu(() => toInput(g))));

  it('is what its definition says', () =>
    check(g => expectNear(() => [toFilter(g), toInput(g)], [reference(g, 'filter'), reference(g, 'input')])));

  it('of a larger image goes by bands', () => {
    const g: Geometry = {
      batch: 2,
      height: 61,
      width: 67,
      channels: 5,
      filters: 9,
      seed: 3,
      ...square(3),
      pad: 'same',
    };
    return expectNearCpu(() =>
      [1, 2].flatMap(step => {
        const strided: Geometry = { ...g, strides: [step, step] };
        return [toFilter(strided), toInput(strided)];
      }),
    );
  });

  it('with the channels first', () =>
    check(
      g => {
        const same: Geometry = { ...g, pad: 'same' };
        const first = (x: Tensor): Tensor => transpose(x, [0, 3, 1, 2]);
        const attrs = { strides: g.strides, pad: 'same', dataFormat: 'NCHW', dimRoundingMode: undefined };
        const [batch, height, width, channels] = imageShape(g);
        return expectNear(
          () => [
            kernel(
              'Conv2DBackpropFilter',
              { x: first(images(same)), dy: first(gradient(same)) },
              { ...attrs, filterShape: filterShape(g) },
            ),
            transpose(
              kernel(
                'Conv2DBackpropInput',
                { dy: first(gradient(same)), filter: filter(g) },
                { ...attrs, inputShape: [batch, channels, height, width] },
              ),
              [0, 2, 3, 1],
            ),
          ],
          [reference(same, 'filter'), reference(same, 'input')],
        );
      },
      geometries(),
      40,
    ));

  it('is what grad() asks for', () =>
    check(
      g =>
        expectNearCpu(() =>
          grads((x: Tensor, w: Tensor) => conv2d(x as Tensor4D, w as Tensor4D, g.strides, g.pad))(
            [images(g), filter(g)],
            gradient(g),
          ),
        ),
      geometries(),
      20,
    ));

  it('of conv2dTranspose', () =>
    expectNearCpu(() => {
      const transposed = (x: Tensor, w: Tensor): Tensor =>
        conv2dTranspose(x as Tensor4D, w as Tensor4D, [2, 11, 9, 3], 2, 'same');
      const [x, w] = [tensorOf([2, 6, 5, 7], 1), tensorOf([3, 3, 3, 7], 2)];
      return [transposed(x, w), ...grads(transposed)([x, w])];
    }));
});

describe('numbers that are not finite', () => {
  const all = (g: Geometry, of: Replaced): Tensor[] => {
    const [x, w, dy] = [images(g, of('x')), filter(g, of('w')), gradient(g, of('dy'))];
    return [forward(g, x, w), toFilter(g, x, dy), toInput(g, dy, w)];
  };

  it('go where they go on the cpu backend', () =>
    fc.assert(
      fc.asyncProperty(
        geometries({ short: true }),
        strangers,
        async (g, of) => void (await expectNearCpu(() => all(g, of))),
      ),
    ));

  it('go where the definition has them, in wide images too', () =>
    fc.assert(
      fc.asyncProperty(geometries(), strangers, (g, of) =>
        expectPlaces(
          () => all(g, of),
          [reference(g, 'out', of), reference(g, 'filter', of), reference(g, 'input', of)],
        ),
      ),
    ));
});

describe('fused.conv2d', () => {
  const activations = ['linear', 'relu', 'relu6', 'elu', 'sigmoid', 'leakyrelu', 'prelu'] as const;

  it('adds a bias and activates', () =>
    fc.assert(
      fc.asyncProperty(
        geometries({ short: true }).filter(isShallow),
        fc.constantFrom(...activations),
        fc.boolean(),
        async (g, activation, biased) => {
          const { data } = reference(g, 'out');
          const shift = (i: number): number => (biased ? (i % g.filters) - 2 : 0);
          const slope = (i: number): number => 0.1 * (i % g.filters);
          const expected = data.map((value, i) => activate(activation, value + shift(i), slope(i)));
          await expectNear(
            () =>
              fused.conv2d({
                x: images(g),
                filter: filter(g),
                strides: g.strides,
                pad: g.pad,
                activation,
                bias: biased ? tensor1d(Array.from({ length: g.filters }, (_, i) => shift(i))) : undefined,
                preluActivationWeights: tensor(
                  Array.from({ length: g.filters }, (_, i) => slope(i)),
                  [1, 1, g.filters],
                ),
                leakyreluAlpha: 0.3,
              } as never),
            [{ shape: outShape(g), dtype: 'float32', data: expected }],
          );
        },
      ),
      { numRuns: 60 },
    ));

  /** The steep activations multiply the rounding errors of the sum. */
  const isShallow = (g: Geometry): boolean => g.filterHeight * g.filterWidth * g.channels < 60;

  function activate(name: (typeof activations)[number], x: number, slope: number): number {
    switch (name) {
      case 'linear':
        return x;
      case 'relu':
        return Math.max(0, x);
      case 'relu6':
        return Math.min(6, Math.max(0, x));
      case 'elu':
        return x > 0 ? x : Math.expm1(x);
      case 'sigmoid':
        return 1 / (1 + Math.exp(-x));
      case 'leakyrelu':
        return x > 0 ? x : 0.3 * x;
      case 'prelu':
        return x > 0 ? x : slope * x;
    }
  }

  it('names an activation that it does not know', async () => {
    await setBackend('wasm');
    const { numTensors } = memory();
    const [x, w] = [tensorOf([1, 3, 3, 1], 1), tensorOf([2, 2, 1, 1], 1)];
    expect(() => fused.conv2d({ x, filter: w, strides: 1, pad: 'same', activation: 'swish' as never })).toThrow(
      /fused.conv2d activation: expected linear, relu/,
    );
    x.dispose();
    w.dispose();
    expect(memory().numTensors).toBe(numTensors);
  });
});

describe('what cannot be', () => {
  const run = async (compute: () => Tensor): Promise<void> => void (await runOn('wasm', compute));

  it('a filter that does not fit', () =>
    expect(run(() => conv2d(tensorOf([1, 2, 2, 1], 1), tensorOf([5, 5, 1, 1], 1), 1, 'valid'))).rejects.toThrow(
      /conv2d filter: expected a filter that fits into 2 × 2 pixels, found "?5 × 5 entries"?. Pad the input/,
    ));

  it('a gradient of another shape', () =>
    expect(
      run(() =>
        kernel(
          'Conv2DBackpropFilter',
          { x: tensorOf([1, 4, 4, 1], 1), dy: tensorOf([1, 4, 4, 1], 1) },
          { strides: 1, pad: 'valid', dataFormat: 'NHWC', filterShape: [2, 2, 1, 1] },
        ),
      ),
    ).rejects.toThrow(/conv2d gradient dy: expected the shape of the output, \[1,3,3,1\], found "?shape \[1,4,4,1\]/));

  it('whole numbers', () =>
    expect(
      run(() =>
        kernel(
          'Conv2D',
          { x: cast(tensorOf([1, 4, 4, 1], 1), 'int32'), filter: tensorOf([2, 2, 1, 1], 1) },
          { strides: 1, pad: 'valid', dataFormat: 'NHWC', dilations: 1 },
        ),
      ),
    ).rejects.toThrow(/conv2d x: expected float32 on the WASM backend, found "?int32/));
});
