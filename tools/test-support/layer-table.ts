import { frugal } from '@frugaljs/composer';
import { sgd } from '@frugaljs/state-free';
import { adamW } from '@frugaljs/state-full';
import {
  dispose,
  mean,
  memory,
  type NamedTensorMap,
  type Scalar,
  square,
  sub,
  type Tensor,
  tensor,
  tidy,
  util,
  type Variable,
  variableGrads,
} from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';
import { worstError } from './closeness.js';

/** How a layer of tf.layers is put into a model that is trained. */
interface LayerCase {
  /** Shape of one example. */
  readonly shape: readonly number[];
  /** Applies the layer, with options that make it do something. */
  readonly apply: (x: tfl.SymbolicTensor) => tfl.SymbolicTensor;
  /** Nothing stands before the layer, as no gradient goes through it: it gets numbers, or indices. */
  readonly first?: 'numbers' | 'indices';
  /** Examples of a step, {@link BATCH} by default. */
  readonly batch?: number;
}

const { layers } = tfl;
const sequence = [5, 3];
const image = [6, 6, 3];
const volume = [4, 4, 4, 2];

type Simple = { apply(x: tfl.SymbolicTensor): unknown };

const layer = (shape: readonly number[], one: Simple): LayerCase => ({
  shape,
  apply: x => one.apply(x) as tfl.SymbolicTensor,
});
const merged = (one: Simple & { apply(x: tfl.SymbolicTensor[]): unknown }): LayerCase => ({
  shape: [4],
  apply: x => one.apply([x, layers.dense({ units: 4, activation: 'tanh' }).apply(x) as tfl.SymbolicTensor]) as never,
});

// The default, `orthogonal`, needs the chained methods of the union package @tensorflow/tfjs.
const recurrent = { units: 4, recurrentInitializer: 'glorotUniform' } as const;
const cell = (one: Parameters<typeof layers.rnn>[0]['cell']): LayerCase =>
  layer(sequence, layers.rnn({ cell: one as never }));
const convLstm = { filters: 2, kernelSize: 2, recurrentInitializer: 'glorotUniform' } as const;
const movie = [3, 5, 5, 2];

/** Every layer of tf.layers of TensorFlow.js 4.22, by its name there and in its documentation's order. */
export const LAYER_CASES: Readonly<Record<string, () => LayerCase>> = {
  elu: () => layer([4], layers.elu()),
  leakyReLU: () => layer([4], layers.leakyReLU({ alpha: 0.2 })),
  prelu: () => layer([4], layers.prelu({ alphaInitializer: 'ones' })),
  reLU: () => layer([4], layers.reLU({ maxValue: 0.5 })),
  softmax: () => layer([4], layers.softmax({ axis: -1 })),
  thresholdedReLU: () => layer([4], layers.thresholdedReLU({ theta: 0.1 })),
  conv1d: () => layer([9, 3], layers.conv1d({ filters: 4, kernelSize: 3, strides: 2, padding: 'same' })),
  conv2d: () => layer(image, layers.conv2d({ filters: 4, kernelSize: 3, strides: 2, activation: 'relu' })),
  conv2dTranspose: () => layer(image, layers.conv2dTranspose({ filters: 2, kernelSize: 3, strides: 2 })),
  conv3d: () => layer(volume, layers.conv3d({ filters: 2, kernelSize: 2 })),
  conv3dTranspose: () => layer(volume, layers.conv3dTranspose({ filters: 2, kernelSize: 2, strides: 1 })),
  cropping2D: () =>
    layer(
      image,
      layers.cropping2D({
        cropping: [
          [1, 0],
          [2, 1],
        ] as never,
      }),
    ),
  depthwiseConv2d: () => layer(image, layers.depthwiseConv2d({ kernelSize: 3, depthMultiplier: 2, padding: 'same' })),
  separableConv2d: () => layer(image, layers.separableConv2d({ filters: 4, kernelSize: 3, depthMultiplier: 2 })),
  upSampling2d: () => ({ ...layer(image, layers.upSampling2d({ size: [2, 3] })), batch: 1 }),
  activation: () => layer([4], layers.activation({ activation: 'selu' })),
  dense: () => layer([4], layers.dense({ units: 3, activation: 'sigmoid' })),
  dropout: () => layer([8], layers.dropout({ rate: 0.4 })),
  embedding: () => ({
    ...layer([5], layers.embedding({ inputDim: 7, outputDim: 3 })),
    first: 'indices',
  }),
  flatten: () => layer(sequence, layers.flatten()),
  inputLayer: () => ({
    shape: [4],
    apply: x => {
      const inner = tfl.sequential({
        layers: [layers.inputLayer({ inputShape: [4] }), layers.dense({ units: 3 })],
      });
      return inner.apply(x) as tfl.SymbolicTensor;
    },
  }),
  masking: () => ({ ...layer(sequence, layers.masking({ maskValue: 0 })), first: 'numbers' }),
  permute: () => layer(sequence, layers.permute({ dims: [2, 1] })),
  repeatVector: () => layer([4], layers.repeatVector({ n: 3 })),
  reshape: () => layer(sequence, layers.reshape({ targetShape: [3, 5] })),
  spatialDropout1d: () => layer(sequence, layers.spatialDropout1d({ rate: 0.4 })),
  add: () => merged(layers.add()),
  average: () => merged(layers.average()),
  concatenate: () => merged(layers.concatenate()),
  dot: () => merged(layers.dot({ axes: 1 })),
  maximum: () => merged(layers.maximum()),
  minimum: () => merged(layers.minimum()),
  multiply: () => merged(layers.multiply()),
  batchNormalization: () => layer(image, layers.batchNormalization()),
  layerNormalization: () => layer(sequence, layers.layerNormalization()),
  zeroPadding2d: () =>
    layer(
      image,
      layers.zeroPadding2d({
        padding: [
          [1, 0],
          [2, 1],
        ] as never,
      }),
    ),
  averagePooling1d: () => layer([7, 3], layers.averagePooling1d({ poolSize: 3, strides: 2 })),
  averagePooling2d: () => layer(image, layers.averagePooling2d({ poolSize: 3, strides: 2, padding: 'same' })),
  averagePooling3d: () => layer(volume, layers.averagePooling3d({ poolSize: 2 })),
  globalAveragePooling1d: () => layer(sequence, layers.globalAveragePooling1d()),
  globalAveragePooling2d: () => layer(image, layers.globalAveragePooling2d({ dataFormat: 'channelsLast' })),
  globalMaxPooling1d: () => layer(sequence, layers.globalMaxPooling1d()),
  globalMaxPooling2d: () => layer(image, layers.globalMaxPooling2d({ dataFormat: 'channelsLast' })),
  maxPooling1d: () => layer([7, 3], layers.maxPooling1d({ poolSize: 3, strides: 2 })),
  maxPooling2d: () => layer(image, layers.maxPooling2d({ poolSize: 3, strides: 2, padding: 'same' })),
  maxPooling3d: () => layer(volume, layers.maxPooling3d({ poolSize: 2 })),
  gru: () => layer(sequence, layers.gru(recurrent)),
  gruCell: () => cell(layers.gruCell(recurrent)),
  lstm: () => layer(sequence, layers.lstm(recurrent)),
  lstmCell: () => cell(layers.lstmCell(recurrent)),
  simpleRNN: () => layer(sequence, layers.simpleRNN(recurrent)),
  simpleRNNCell: () => cell(layers.simpleRNNCell(recurrent)),
  convLstm2d: () => layer(movie, layers.convLstm2d(convLstm)),
  convLstm2dCell: () => layer(movie, layers.rnn({ cell: layers.convLstm2dCell(convLstm) as never })),
  rnn: () => layer(sequence, layers.rnn({ cell: layers.gruCell(recurrent), returnSequences: true })),
  stackedRNNCells: () =>
    cell(layers.stackedRNNCells({ cells: [layers.lstmCell(recurrent), layers.gruCell(recurrent)] }) as never),
  bidirectional: () =>
    layer(sequence, layers.bidirectional({ layer: layers.lstm(recurrent) as never, mergeMode: 'concat' })),
  timeDistributed: () => layer(sequence, layers.timeDistributed({ layer: layers.dense({ units: 4 }) })),
  gaussianNoise: () => layer([4], layers.gaussianNoise({ stddev: 0.3 })),
  gaussianDropout: () => layer([4], layers.gaussianDropout({ rate: 0.3 })),
  alphaDropout: () => layer([4], layers.alphaDropout({ rate: 0.3 })),
  rescaling: () => layer(image, layers.rescaling({ scale: 0.5, offset: 0.1 })),
  centerCrop: () => ({
    shape: image,
    // It writes into the shape of its input, which must not be that of the model.
    apply: x =>
      layers.centerCrop({ height: 4, width: 3 }).apply(
        layers
          .zeroPadding2d({
            padding: [
              [0, 0],
              [0, 0],
            ] as never,
          })
          .apply(x),
      ) as never,
    first: 'numbers',
  }),
  resizing: () => layer(image, layers.resizing({ height: 9, width: 4 })),
  categoryEncoding: () => ({
    ...layer([7], layers.categoryEncoding({ numTokens: 7, outputMode: 'multiHot' })),
    first: 'indices',
  }),
  randomWidth: () => layer(image, layers.randomWidth({ factor: 0.3 })),
};

/** Other names of the same layers. */
export const LAYER_ALIASES: readonly string[] = [
  ...['avgPool1d', 'avgPool2d', 'avgPool3d', 'avgPooling1d', 'avgPooling2d', 'avgPooling3d'],
  ...['globalMaxPool1d', 'globalMaxPool2d', 'maxPool1d', 'maxPool2d', 'input'],
];

/** Layers that train on no backend, what tfjs says, and why. */
export const UNTRAINABLE: Readonly<Record<string, { readonly error: RegExp; readonly why: string }>> = {
  thresholdedReLU: { error: /gradient function not found for Greater/, why: 'no gradient of `greater` in tfjs' },
  conv3dTranspose: {
    error: /gradient function not found for Conv3DBackpropInputV2/,
    why: 'no gradient of `conv3dTranspose` in tfjs',
  },
  convLstm2dCell: { error: /expected ndim=3, found ndim=5/, why: 'only as the cell of `convLstm2d`' },
  resizing: {
    error: /x must be rank 3 or 4, but got rank 1|Invalid typed array length/,
    why: 'its call takes no list of inputs, as a model gives',
  },
  randomWidth: { error: /shape comprised of positive integers/, why: 'its output has no batch axis' },
};

/** Layers that train on the cpu backend with one example at a time, and why no more. */
export const SINGLE_ON_CPU: Readonly<Record<string, string>> = {
  upSampling2d: 'one image at a time: tfjs takes the gradients of a batch from the wrong images',
};

/** Layers of which tfjs's kernels on cpu and webgpu take a wrong gradient, and backend-wasm and TensorFlow the right one. */
export const WRONG_ON_CPU: Readonly<Record<string, string>> = {
  averagePooling2d: "trains, with other gradients than cpu's",
};

/** What became of a layer on the current backend. */
export interface LayerRun {
  /** Losses of three steps, and of one more. */
  readonly losses: readonly number[];
  /** The gradients of the first step. */
  readonly gradients: readonly (readonly number[])[];
  /** Whether the weights of the layers changed, and are finite. */
  readonly changed: boolean;
}

const BATCH = 4;
const STEPS = 3;
/** Rounding errors of a whole model, forward and back. */
const TOLERANCE = 1e-4;

/** Takes three steps of FRUGAL with a layer of tf.layers between two dense layers, on the current backend. */
export async function trainLayer(name: string, options: { readonly batch?: number } = {}): Promise<LayerRun> {
  const before = memory().numTensors;
  const { random } = Math;
  // Noise is the same in every run, and on every backend.
  Math.random = uniform(3);
  try {
    const run = await trained({ ...LAYER_CASES[name]!(), ...options });
    if (memory().numTensors > before) throw new Error(`${memory().numTensors - before} tensors are left behind`);
    return run;
  } finally {
    Math.random = random;
  }
}

async function trained({ shape, apply, first, batch = BATCH }: LayerCase): Promise<LayerRun> {
  const input = tfl.input({ shape: [...shape] });
  const units = shape.at(-1)!;
  const before =
    first !== undefined ? input : (layers.dense({ units, activation: 'tanh' }).apply(input) as tfl.SymbolicTensor);
  const made = apply(before);
  const flat = made.shape.length === 2 ? made : (layers.flatten().apply(made) as tfl.SymbolicTensor);
  const output = layers.dense({ units: 2 }).apply(flat) as tfl.SymbolicTensor;
  const model = tfl.model({ inputs: input, outputs: output });
  const next = uniform(1);
  const numbers = (size: number): Float32Array => Float32Array.from({ length: size }, () => 2 * next() - 1);
  tidy(() => model.setWeights(model.getWeights().map(weight => initialWeight(weight, numbers(weight.size)))));
  const size = batch * util.sizeFromShape([...shape]);
  const x = tensor(
    numbers(size).map(value => (first === 'indices' ? Math.floor(3.5 * (value + 1)) : value)),
    [batch, ...shape],
  );
  const y = tensor(numbers(batch * 2), [batch, 2]);
  // No signs of gradients: those of a gradient that is nearly zero are chance. And no subspace that follows from the
  // names of the weights, which tf.layers counts on from model to model.
  const rules = { stateFull: adamW({ epsilon: 0.01 }), stateFree: sgd() };
  const optimizer = frugal({ learningRate: 0.01, density: 0.5, projector: 'dct', updateGap: 2, ...rules });
  model.compile({ optimizer, loss: 'meanSquaredError' });
  const initial = await valuesOf(model.trainableWeights.map(weight => weight.read()));
  const gradients = await gradientsOf(model, x, y);
  const losses: number[] = [];
  try {
    for (let step = 0; step <= STEPS; step++) losses.push((await model.trainOnBatch(x, y)) as number);
    const final = await valuesOf(model.trainableWeights.map(weight => weight.read()));
    const areFinite = [...losses, ...final.flat()].every(Number.isFinite);
    const isChanged = final.every((values, i) => values.some((value, k) => value !== initial[i]![k]));
    return { losses, gradients, changed: areFinite && isChanged };
  } finally {
    dispose([x, y]);
    optimizer.dispose();
    model.dispose();
  }
}

/** Numbers of the size that layers begin with. Vectors are scales and variances, too, and positive. */
function initialWeight({ shape }: Tensor, numbers: Float32Array): Tensor {
  const inputs = util.sizeFromShape(shape.slice(0, -1));
  const scaled = (value: number): number => (shape.length < 2 ? 0.7 + 0.2 * value : (1.2 * value) / Math.sqrt(inputs));
  return tensor(numbers.map(scaled), shape);
}

async function gradientsOf(model: tfl.LayersModel, x: Tensor, y: Tensor): Promise<number[][]> {
  const variables = model.trainableWeights.map(weight => weight.read() as Variable);
  const { value, grads } = variableGrads(
    () =>
      tidy(() => {
        const difference = sub(model.apply(x, { training: true }) as Tensor, y);
        return mean(square(difference)) as Scalar;
      }),
    variables,
  );
  const values = await valuesOf(variables.map(({ name }) => (grads as NamedTensorMap)[name]!));
  dispose([value, grads]);
  return values;
}

async function valuesOf(tensors: readonly Tensor[]): Promise<number[][]> {
  return Promise.all(tensors.map(async each => Array.from(await each.data())));
}

/** Pseudo-random numbers in [0, 1): a linear congruence. */
function uniform(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}

/** Why a run is not that of another backend; null if it is. */
export function differenceOf(found: LayerRun, expected: LayerRun): string | null {
  if (!found.changed) return 'weights do not change, or are not finite';
  const worst = Math.max(
    worstError(found.losses, expected.losses),
    ...found.gradients.map((gradient, i) => worstError(gradient, expected.gradients[i]!)),
  );
  return worst <= TOLERANCE ? null : `differs from cpu by ${worst.toExponential(1)}`;
}
