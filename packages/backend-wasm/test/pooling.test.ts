import {
  avgPool,
  avgPool3d,
  engine,
  eye,
  grad,
  mul,
  ones,
  reshape,
  setBackend,
  sub,
  sum,
  type Tensor,
  type Tensor4D,
  type Tensor5D,
  tensor,
  tensor5d,
} from '@tensorflow/tfjs-core';
import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import { randomFloats, runOn, sizeOf, type Values } from './compare.js';
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

const outShape = (g: Geometry): Shape => [g.batch, ...outputSize(g), g.channels];
const gradient = (g: Geometry, replaced = {}): Tensor4D => gradientOf(outShape(g), g, replaced);

const forward = (g: Geometry, x = images(g)): Tensor =>
  avgPool(x, [g.filterHeight, g.filterWidth], g.strides, g.pad as 'same');

const toInput = (g: Geometry, dy = gradient(g)): Tensor =>
  grad((x: Tensor) => forward(g, x as Tensor4D))(images(g), dy);

/** Pooling and its gradient by their definition, in float64: means of what of each window is in the image. */
function reference(g: Geometry, which: 'out' | 'input', of: Replaced = () => ({})): Values {
  const shape = which === 'out' ? outShape(g) : imageShape(g);
  const [x, dy] = [images(g, of('x')), gradient(g, of('dy'))].map(each => Array.from(each.dataSync())) as [
    number[],
    number[],
  ];
  const [outHeight, outWidth] = outputSize(g);
  const pixelOf = (image: number, [row, column]: readonly [number, number]): number =>
    (image * outHeight + row) * outWidth + column;
  const counts = new Array<number>(g.batch * outHeight * outWidth).fill(0);
  eachEntry(g, (image, out) => {
    counts[pixelOf(image, out)]!++;
  });
  const data = new Array<number>(sizeOf(shape)).fill(0);
  eachEntry(g, (image, out, [row, column]) => {
    const pixel = pixelOf(image, out);
    for (let c = 0; c < g.channels; c++) {
      const atX = ((image * g.height + row) * g.width + column) * g.channels + c;
      const atY = pixel * g.channels + c;
      if (which === 'out') data[atY]! += x[atX]!;
      else data[atX]! += dy[atY]! / counts[pixel]!;
    }
  });
  const means = (value: number, i: number): number => value / counts[Math.floor(i / g.channels)]!;
  return { shape, dtype: 'float32', data: which === 'out' ? data.map(means) : data };
}

const check = (all: fc.Arbitrary<Geometry>, property: (g: Geometry) => Promise<unknown>): Promise<void> =>
  fc.assert(fc.asyncProperty(all, async g => void (await property(g))));

const any = geometries({ largestFilters: 1 });
const short = geometries({ largestFilters: 1, short: true });

// References are tensors, too.
beforeAll(() => setBackend('wasm'));

describe('average pooling', () => {
  it('is what its definition says', () => check(any, g => expectNear(() => forward(g), [reference(g, 'out')])));

  it('is that of the cpu backend', () =>
    check(
      short.filter(({ filterHeight, filterWidth }) => filterHeight * filterWidth > 1),
      g => expectNearCpu(() => forward(g)),
    ));

  it.each(['ceil', 'round', 'floor'] as const)('is that of the cpu backend with sides rounded by %s', rounding =>
    check(
      short.filter(({ pad }) => typeof pad !== 'string'),
      g => {
        const { filterHeight, filterWidth, strides, pad } = g;
        // Windows of one entry are the image itself to the cpu backend, if only the sizes are the same.
        fc.pre(filterHeight === filterWidth && filterHeight > 1);
        return expectNearCpu(() => avgPool(images(g), filterHeight, strides, pad as number, rounding));
      },
    ),
  );
});

describe('the gradient of average pooling', () => {
  it('is what its definition says', () => check(any, g => expectNear(() => toInput(g), [reference(g, 'input')])));

  it('is that of the cpu backend where no window is cut off', () =>
    check(
      short.filter(({ pad, filterHeight, filterWidth }) => pad === 'valid' || filterHeight * filterWidth === 1),
      g => expectNearCpu(() => toInput(g)),
    ));

  it('is what the pooling changes by, entry by entry', async () => {
    const g: Geometry = {
      ...{ batch: 2, height: 5, width: 4, channels: 3, filters: 1, filterHeight: 3, filterWidth: 2 },
      ...{ strides: [2, 1], dilations: [1, 1], pad: 'same', seed: 7 },
    };
    const loss = (x: Tensor4D): Tensor => sum(mul(forward(g, x), gradient(g)));
    const [{ data: x }] = (await runOn('wasm', () => images(g))) as [Values];
    // Pooling is linear: a step need not be small, and one that is not keeps rounding errors small.
    const differences = await runOn('wasm', () =>
      x.map((value, i) => sub(loss(images(g, { [i]: value + 4 })), loss(images(g, { [i]: value - 4 })))),
    );
    const slopes = differences.map(({ data }) => data[0]! / 8);
    await expectNear(() => toInput(g), [{ shape: imageShape(g), dtype: 'float32', data: slopes }]);
  });

  it.each(['ceil', 'round', 'floor'] as const)('is that of a pooling with sides rounded by %s', rounding =>
    check(short, async ({ height, width, filterHeight: size, strides: [stride], seed }) => {
      fc.pre(size > 1 && size <= Math.min(height, width));
      const pool = (x: Tensor): Tensor => avgPool(x as Tensor4D, size, stride, 1, rounding);
      // Images of a single 1 find the matrix of the pooling.
      const [{ data: matrix, shape }] = (await runOn('cpu', () =>
        pool(reshape(eye(height * width), [height * width, height, width, 1])),
      )) as [Values];
      const outputs = sizeOf(shape.slice(1));
      const dy = randomFloats(outputs, seed);
      const derivative = Array.from({ length: height * width }, (_, i) =>
        // A window with nothing of the image has no mean, and asks for nothing.
        dy.reduce((total, each, o) => total + each * (matrix[i * outputs + o]! || 0), 0),
      );
      const image: Shape = [1, height, width, 1];
      await expectNear(
        () => grad(pool)(tensorOf(image, seed), tensor(dy, [1, ...shape.slice(1)])),
        [{ shape: image, dtype: 'float32', data: derivative }],
      );
    }),
  );
});

type Three = [number, number, number];

interface Volumes {
  readonly shape: [number, ...Three, number];
  readonly filter: Three;
  readonly strides: Three;
  readonly pad: 'same' | 'valid' | number;
  readonly seed: number;
}

const three = (max: number): fc.Arbitrary<Three> => {
  const side = fc.integer({ min: 1, max });
  return fc.tuple(side, side, side);
};
const volumes: fc.Arbitrary<Volumes> = fc
  .record({
    shape: fc
      .tuple(fc.integer({ min: 1, max: 2 }), three(5), fc.constantFrom(1, 3, 4, 21))
      .map(([batch, sides, channels]): Volumes['shape'] => [batch, ...sides, channels]),
    filter: three(4),
    strides: three(3),
    pad: fc.oneof(fc.constantFrom('same' as const, 'valid' as const), fc.nat({ max: 2 })),
    seed: fc.nat(),
  })
  .filter(each => volumeSides(each).every(({ out }) => out > 0));

function volumeSides({ shape, filter, strides, pad }: Volumes): { out: number; before: number }[] {
  return filter.map((size, axis) => {
    const [input, stride] = [shape[axis + 1]!, strides[axis]!];
    if (pad === 'same') {
      const out = Math.ceil(input / stride);
      // In tfjs volumes are cropped where the strides are larger than the filter; images are not.
      return { out, before: Math.floor(((out - 1) * stride + size - input) / 2) };
    }
    const before = pad === 'valid' ? 0 : pad;
    return { out: input + 2 * before < size ? 0 : Math.floor((input + 2 * before - size) / stride) + 1, before };
  });
}

const volume = (shape: readonly number[], seed: number): Tensor5D =>
  tensor5d(randomFloats(sizeOf(shape), seed), shape as Volumes['shape']);
const pool3d = ({ filter, strides, pad }: Volumes, x: Tensor): Tensor => avgPool3d(x as Tensor5D, filter, strides, pad);
const outVolumes = (v: Volumes): Volumes['shape'] => [
  v.shape[0],
  ...(volumeSides(v).map(({ out }) => out) as Three),
  v.shape[4],
];

/** Pooling of volumes and its gradient by their definition, in float64. */
function volumeReference(v: Volumes): { readonly out: Values; readonly input: Values } {
  const { shape, filter, strides, seed } = v;
  const [batch, ...sides] = shape;
  const channels = sides.pop()!;
  const outs = outVolumes(v);
  const [x, dy] = [randomFloats(sizeOf(shape), seed), randomFloats(sizeOf(outs), seed + 1)];
  const [out, input] = [new Array<number>(dy.length).fill(0), new Array<number>(x.length).fill(0)];
  const places = volumeSides(v);
  const inside = (axis: number, at: number): number[] =>
    Array.from({ length: filter[axis]! }, (_, tap) => at * strides[axis]! - places[axis]!.before + tap).filter(
      side => side >= 0 && side < sides[axis]!,
    );
  for (let pixel = 0; pixel < dy.length / channels; pixel++) {
    const across = pixel % outs[3];
    const down = Math.floor(pixel / outs[3]) % outs[2];
    const deep = Math.floor(pixel / (outs[3] * outs[2])) % outs[1];
    const image = Math.floor(pixel / (outs[3] * outs[2] * outs[1]));
    const entries = inside(0, deep).flatMap(d =>
      inside(1, down).flatMap(h =>
        inside(2, across).map(w => ((image * sides[0]! + d) * sides[1]! + h) * sides[2]! + w),
      ),
    );
    for (const entry of entries) {
      for (let c = 0; c < channels; c++) {
        out[pixel * channels + c]! += x[entry * channels + c]! / entries.length;
        input[entry * channels + c]! += dy[pixel * channels + c]! / entries.length;
      }
    }
  }
  expect(batch * outs[1] * outs[2] * outs[3] * channels).toBe(dy.length);
  return { out: { shape: outs, dtype: 'float32', data: out }, input: { shape, dtype: 'float32', data: input } };
}

describe('average pooling of volumes', () => {
  it('and its gradient are what their definition says', () =>
    fc.assert(
      fc.asyncProperty(volumes, v => {
        const { out, input } = volumeReference(v);
        const x = (): Tensor5D => volume(v.shape, v.seed);
        return expectNear(
          () => [pool3d(v, x()), grad((each: Tensor) => pool3d(v, each))(x(), volume(outVolumes(v), v.seed + 1))],
          [out, input],
        );
      }),
    ));

  it('lets NaN and infinities of the gradient only to what they are the gradient of', async () => {
    const dy = [Number.NaN, 1, Infinity, 2, 3, 4, 5, -Infinity];
    const pool = (x: Tensor): Tensor => avgPool3d(x as Tensor5D, 1, 1, 'same');
    const [found] = await runOn('wasm', () => grad(pool)(volume([1, 2, 2, 2, 1], 1), tensor(dy, [1, 2, 2, 2, 1])));
    expect(found!.data).toEqual(dy);
  });
});

describe('numbers that are not finite', () => {
  it('go where the definition has them', () =>
    fc.assert(
      fc.asyncProperty(any, strangers, (g, of) =>
        expectPlaces(
          () => [forward(g, images(g, of('x'))), toInput(g, gradient(g, of('dy')))],
          [reference(g, 'out', of), reference(g, 'input', of)],
        ),
      ),
    ));
});

describe('what cannot be', () => {
  it('a window that does not fit', () =>
    expect(runOn('wasm', () => avgPool(tensorOf([1, 2, 2, 1], 1), 5, 1, 'valid'))).rejects.toThrow(
      /avgPool filter: expected a filter that fits into 2 × 2 pixels/,
    ));

  const input = (): Tensor4D => tensorOf([1, 4, 4, 1], 1);
  const run = (dy: Tensor): Promise<Values[]> =>
    runOn('wasm', () => {
      const attrs = { filterSize: 2, strides: 2, pad: 'same' };
      return engine().runKernel('AvgPoolGrad', { dy, input: input() }, attrs) as Tensor;
    });

  it('a gradient of another shape than the output', () =>
    expect(run(tensorOf([1, 3, 3, 1], 1))).rejects.toThrow(
      /avgPool gradient dy: expected the shape of the output, \[1,2,2,1\], found shape \[1,3,3,1\]/,
    ));

  it('a gradient of integers', () =>
    expect(run(ones([1, 2, 2, 1], 'int32'))).rejects.toThrow(/avgPool gradient dy: expected float32/));
});
