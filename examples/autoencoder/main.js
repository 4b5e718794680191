// An autoencoder squeezes digits through 16 numbers, with model.compile and model.fit.
import * as tfl from '@tensorflow/tfjs-layers';
import { frugal, galore, tf } from 'frugaljs';
import { readSettings } from '../command-line.js';
import { compare, printTable } from '../comparison.js';
import { drawDigits, SIZE } from '../digits.js';

const { steps: epochs, seed } = readSettings(20);
await tf.setBackend('wasm');

const COUNT = 1024;
const PIXELS = SIZE * SIZE;
const images = tf.tensor2d(drawDigits({ count: COUNT, seed }).pixels, [COUNT, PIXELS]);
const testImages = tf.tensor2d(drawDigits({ count: 256, seed: seed + 1 }).pixels, [256, PIXELS]);

function makeModel() {
  /** @param {number} units @param {number} index */
  const hidden = (units, index) =>
    tfl.layers.dense({
      units,
      activation: 'relu',
      kernelInitializer: tfl.initializers.heNormal({ seed: seed + index }),
      ...(index === 0 ? { inputShape: [PIXELS] } : {}),
    });
  return tfl.sequential({
    layers: [
      hidden(128, 0),
      tfl.layers.dense({ name: 'code', units: 16, kernelInitializer: tfl.initializers.glorotNormal({ seed }) }),
      hidden(128, 2),
      tfl.layers.dense({
        name: 'picture',
        units: PIXELS,
        activation: 'sigmoid',
        kernelInitializer: tfl.initializers.glorotNormal({ seed: seed + 3 }),
      }),
    ],
  });
}

/** @param {tf.Optimizer} optimizer */
async function* training(optimizer) {
  const model = makeModel();
  model.compile({ optimizer, loss: 'meanSquaredError' });
  for (let epoch = 0; epoch < epochs; epoch++) {
    // tf.layers shuffles by Math.random, which has no seed; the images come in random order anyway.
    const { history } = await model.fit(images, images, { epochs: 1, batchSize: 32, shuffle: false, verbose: 0 });
    yield { loss: Number(history['loss']?.[0]), optimizers: [optimizer] };
  }
  const loss = /** @type {tf.Scalar} */ (model.evaluate(testImages, testImages));
  return { unseen: (await loss.data())[0]?.toFixed(4) ?? '' };
}

const rows = await compare(
  {
    'tf.train.adam': () => tf.train.adam(1e-3),
    frugal: () => frugal({ learningRate: 1e-3, seed }),
    galore: () => galore({ learningRate: 4e-3, updateGap: 100, seed }),
  },
  make => training(make()),
);
printTable(`Autoencoder, ${epochs} epochs of ${COUNT / 32} batches, seed ${seed}`, rows);
