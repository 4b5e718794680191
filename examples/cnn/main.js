// A small convolutional network learns to read digits.
import * as tfl from '@tensorflow/tfjs-layers';
import { frugal, galore, tf } from 'frugaljs';
import { readSettings } from '../command-line.js';
import { compare, printTable } from '../comparison.js';
import { drawDigits, SIZE } from '../digits.js';

const { steps, seed } = readSettings(200);
await tf.setBackend('wasm');

const BATCH = 32;
const train = drawDigits({ count: 2000, seed });
const test = drawDigits({ count: 500, seed: seed + 1 });
const images = tf.tensor4d(train.pixels, [2000, SIZE, SIZE, 1]);
const labels = tf.tensor1d(Float32Array.from(train.labels));
const testImages = tf.tensor4d(test.pixels, [500, SIZE, SIZE, 1]);

function makeModel() {
  const { conv2d, dense, flatten, maxPooling2d } = tfl.layers;
  const relu = { activation: /** @type {const} */ ('relu'), kernelInitializer: tfl.initializers.heNormal({ seed }) };
  return tfl.sequential({
    layers: [
      conv2d({ filters: 8, kernelSize: 5, inputShape: [SIZE, SIZE, 1], ...relu }),
      maxPooling2d({ poolSize: 2 }),
      conv2d({ filters: 16, kernelSize: 3, ...relu }),
      maxPooling2d({ poolSize: 2 }),
      flatten(),
      dense({ units: 128, ...relu }),
      // Called classifier, so that the recipes know the output layer, which keeps its full state.
      dense({
        name: 'classifier',
        units: 10,
        activation: 'softmax',
        kernelInitializer: tfl.initializers.glorotNormal({ seed }),
      }),
    ],
  });
}

// Recipes train matrices in a subspace. Kernels of convolutions have four axes and keep their full state, unless told:
const KERNELS = { not: /classifier/, minRank: 2 };

/** @param {tf.Optimizer} optimizer */
async function* training(optimizer) {
  const model = makeModel();
  model.compile({ optimizer, loss: 'sparseCategoricalCrossentropy' });
  for (let step = 0; step < steps; step++) {
    const from = (step * BATCH) % (2000 - BATCH);
    const [x, y] = [tf.slice(images, from, BATCH), tf.slice(labels, from, BATCH)];
    yield { loss: Number(await model.trainOnBatch(x, y)), optimizers: [optimizer] };
    tf.dispose([x, y]);
  }
  const guesses = await tf.tidy(() => tf.argMax(/** @type {tf.Tensor} */ (model.predict(testImages)), 1)).data();
  const right = guesses.filter((guess, i) => guess === test.labels[i]).length;
  return { read: `${((100 * right) / 500).toFixed(1)} %` };
}

const rows = await compare(
  {
    'tf.train.adam': () => tf.train.adam(1e-3),
    frugal: () => frugal({ learningRate: 1e-3, seed }),
    'frugal, all kernels': () => frugal({ learningRate: 1e-3, seed, projectable: KERNELS }),
    galore: () => galore({ learningRate: 4e-3, updateGap: 50, seed }),
  },
  make => training(make()),
);
printTable(`Digits, ${steps} steps of ${BATCH} images, seed ${seed}`, rows);
