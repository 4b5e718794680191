// An LSTM tells good opinions from bad ones.
import * as tfl from '@tensorflow/tfjs-layers';
import { frugal, galore, tf } from 'frugaljs';
import { readSettings } from '../command-line.js';
import { compare, printTable } from '../comparison.js';
import { LENGTH, VOCABULARY, writeSentences } from './sentences.js';

const { steps, seed } = readSettings(250);
await tf.setBackend('wasm');

const [BATCH, COUNT, TESTED] = [32, 3200, 500];
const train = writeSentences({ count: COUNT, seed });
const test = writeSentences({ count: TESTED, seed: seed + 1 });
const sentences = tf.tensor2d(train.words, [COUNT, LENGTH]);
const labels = tf.tensor2d(train.labels, [COUNT, 1]);
const testSentences = tf.tensor2d(test.words, [TESTED, LENGTH]);

function makeModel() {
  const { glorotNormal, randomUniform } = tfl.initializers;
  return tfl.sequential({
    layers: [
      tfl.layers.embedding({
        inputDim: VOCABULARY,
        outputDim: 32,
        inputLength: LENGTH,
        embeddingsInitializer: randomUniform({ minval: -0.05, maxval: 0.05, seed }),
      }),
      tfl.layers.lstm({
        units: 64,
        kernelInitializer: glorotNormal({ seed }),
        // The default, `orthogonal`, needs methods of tensors that only the package @tensorflow/tfjs brings.
        recurrentInitializer: glorotNormal({ seed: seed + 1 }),
      }),
      tfl.layers.dense({
        name: 'classifier',
        units: 1,
        activation: 'sigmoid',
        kernelInitializer: glorotNormal({ seed }),
      }),
    ],
  });
}

/** @param {tf.Optimizer} optimizer */
async function* training(optimizer) {
  const model = makeModel();
  model.compile({ optimizer, loss: 'binaryCrossentropy' });
  for (let step = 0; step < steps; step++) {
    const from = (step * BATCH) % COUNT;
    const [x, y] = [tf.slice(sentences, from, BATCH), tf.slice(labels, from, BATCH)];
    yield { loss: Number(await model.trainOnBatch(x, y)), optimizers: [optimizer] };
    tf.dispose([x, y]);
  }
  const guesses = await /** @type {tf.Tensor} */ (model.predict(testSentences)).data();
  const right = guesses.filter((guess, i) => guess > 0.5 === (test.labels[i] === 1)).length;
  return { right: `${((100 * right) / TESTED).toFixed(1)} %` };
}

const rows = await compare(
  {
    'tf.train.adam': () => tf.train.adam(5e-3),
    frugal: () => frugal({ learningRate: 5e-3, stateFreeScale: 0.2, projector: 'columns', seed }),
    galore: () => galore({ learningRate: 1e-2, scale: 1, updateGap: 50, seed }),
  },
  make => training(make()),
);
for (const index of [0, 1, 2]) console.log(`${test.labels[index] ? 'good' : 'bad '}  ${test.text[index]}`);
printTable(`\nOpinions, ${steps} steps of ${BATCH} sentences, seed ${seed}`, rows);
