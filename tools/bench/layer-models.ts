import { layers, type Sequential, sequential } from '@tensorflow/tfjs-layers';

/** A model that the benchmark `layers` trains, and the images it is made for. */
export interface LayerModel {
  readonly images: readonly [height: number, width: number, channels: number];
  readonly classes: number;
  create(): Sequential;
}

const CLASSES = 10;

/** Two convolutions with poolings and two dense layers, for images of 28 × 28. */
const cnn: LayerModel = {
  images: [28, 28, 1],
  classes: CLASSES,
  create: () =>
    sequential({
      layers: [
        layers.conv2d({ inputShape: [28, 28, 1], filters: 32, kernelSize: 3, activation: 'relu' }),
        layers.maxPooling2d({ poolSize: 2 }),
        layers.conv2d({ filters: 64, kernelSize: 3, activation: 'relu' }),
        layers.maxPooling2d({ poolSize: 2 }),
        layers.flatten(),
        layers.dense({ units: 128, activation: 'relu' }),
        layers.dense({ units: CLASSES }),
      ],
    }),
};

/** Depthwise separable blocks with batch normalization, as in MobileNet, for images of 32 × 32. */
const mobileNet: LayerModel = {
  images: [32, 32, 3],
  classes: CLASSES,
  create: () => {
    const model = sequential({
      layers: [
        layers.conv2d({ inputShape: [32, 32, 3], filters: 32, kernelSize: 3, padding: 'same', useBias: false }),
        layers.batchNormalization(),
        layers.reLU({ maxValue: 6 }),
      ],
    });
    for (const [filters, strides] of [
      [64, 1],
      [128, 2],
      [128, 1],
      [256, 2],
    ] as const) {
      model.add(layers.depthwiseConv2d({ kernelSize: 3, strides, padding: 'same', useBias: false }));
      model.add(layers.batchNormalization());
      model.add(layers.reLU({ maxValue: 6 }));
      model.add(layers.conv2d({ filters, kernelSize: 1, useBias: false }));
      model.add(layers.batchNormalization());
      model.add(layers.reLU({ maxValue: 6 }));
    }
    model.add(layers.globalAveragePooling2d({ dataFormat: 'channelsLast' }));
    model.add(layers.dense({ units: CLASSES }));
    return model;
  },
};

export const LAYER_MODELS = { cnn, mobilenet: mobileNet };

export type LayerModelName = keyof typeof LAYER_MODELS;
