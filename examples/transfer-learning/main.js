// A model that knows the digits 0 to 4 learns 5 to 9 from 60 examples: first a new head on frozen layers, then one layer more
// at a time. One optimizer goes through all of it.
import * as tfl from '@tensorflow/tfjs-layers';
import { frugal, galore, tf } from 'frugaljs';
import { readSettings } from '../command-line.js';
import { compare, printTable, stateBytes } from '../comparison.js';
import { drawDigits, SIZE } from '../digits.js';

const { steps, seed } = readSettings(150);
await tf.setBackend('wasm');

const PIXELS = SIZE * SIZE;
const loss = 'sparseCategoricalCrossentropy';

/** @param {number[]} among @param {number} count @param {number} dataSeed */
function digits(among, count, dataSeed) {
  const { pixels, labels } = drawDigits({ count, seed: dataSeed, among });
  return { x: tf.tensor2d(pixels, [count, PIXELS]), y: tf.tensor1d(Float32Array.from(labels)), labels };
}

const known = digits([0, 1, 2, 3, 4], 2000, seed);
const few = digits([5, 6, 7, 8, 9], 60, seed + 1);
const test = digits([5, 6, 7, 8, 9], 500, seed + 2);

/** @param {string} head name of the output layer; recipes know by `classifier` that it is one */
function makeModel(head) {
  const kernelInitializer = tfl.initializers.glorotNormal({ seed });
  return tfl.sequential({
    layers: [
      tfl.layers.dense({ units: 128, activation: 'relu', kernelInitializer, inputShape: [PIXELS] }),
      tfl.layers.dense({ units: 64, activation: 'relu', kernelInitializer }),
      tfl.layers.dense({ name: head, units: 5, activation: 'softmax', kernelInitializer }),
    ],
  });
}

// The model that somebody has trained before.
const base = makeModel('classifier_of_0_to_4');
const teacher = frugal({ learningRate: 1e-3, seed });
base.compile({ optimizer: teacher, loss });
await base.fit(known.x, known.y, { epochs: 3, batchSize: 50, shuffle: false, verbose: 0 });
teacher.dispose();

/** @param {() => tf.Optimizer} make called once, or anew for every stage */
async function* training(make) {
  const model = makeModel('classifier_of_5_to_9');
  const body = model.layers.slice(0, -1);
  for (const [index, layer] of body.entries()) layer.setWeights(base.layers[index]?.getWeights() ?? []);
  let headOnly = 0;
  for (let stage = 0; stage < 3; stage++) {
    // The head alone; then also the layer below it; then all.
    for (const [index, layer] of body.entries()) layer.trainable = index >= body.length - stage;
    const optimizer = make();
    model.compile({ optimizer, loss });
    for (let step = 0; step < steps / 3; step++) {
      yield { loss: Number(await model.trainOnBatch(few.x, few.y)), optimizers: [optimizer] };
    }
    if (stage === 0) headOnly = await stateBytes(optimizer);
  }
  const guesses = await tf.tidy(() => tf.argMax(/** @type {tf.Tensor} */ (model.predict(test.x)), 1)).data();
  const right = guesses.filter((guess, i) => guess === test.labels[i]).length;
  return { read: `${((100 * right) / 500).toFixed(1)} %`, head: `${(headOnly / 1024).toFixed(1)} KiB` };
}

/** @param {tf.Optimizer} optimizer that finds its state by the names of variables, so that one serves for all stages */
const once = optimizer => () => optimizer;

const rows = await compare(
  {
    // Adam of TensorFlow.js finds its moments by position: after a change of what trains it has to be made anew.
    '3 × tf.train.adam': () => tf.train.adam(1e-3),
    frugal: once(frugal({ learningRate: 1e-3, stateFreeScale: 0.3, seed })),
    galore: once(galore({ learningRate: 4e-3, updateGap: 25, seed })),
  },
  training,
);
printTable(`5 to 9 from 60 examples, ${steps} steps, seed ${seed}`, rows);
