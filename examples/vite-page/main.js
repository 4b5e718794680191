// Trains in the tab, and shows the table. Everything stays on the device of whoever opens the page.
import { setWasmPaths } from '@tensorflow/tfjs-backend-wasm';
import simdBinary from '@tensorflow/tfjs-backend-wasm/dist/tfjs-backend-wasm-simd.wasm?url';
import * as tfl from '@tensorflow/tfjs-layers';
import { frugal, recipe, tf } from 'frugaljs';
import { compare, tableCells } from '../comparison.js';
import { drawDigits, SIZE } from '../digits.js';

// Vite gives the address of the binary in the built page. Every browser with WebAssembly SIMD runs this one; the threaded one
// needs headers that a host of files does not send.
setWasmPaths({
  'tfjs-backend-wasm.wasm': simdBinary,
  'tfjs-backend-wasm-simd.wasm': simdBinary,
  'tfjs-backend-wasm-threaded-simd.wasm': simdBinary,
});
await tf.setBackend('wasm');

const [BATCH, COUNT, TESTED, PIXELS] = [32, 2000, 500, SIZE * SIZE];

const start = /** @type {HTMLButtonElement} */ (document.getElementById('start'));
const stepsInput = /** @type {HTMLInputElement} */ (document.getElementById('steps'));
const seedInput = /** @type {HTMLInputElement} */ (document.getElementById('seed'));
const status = /** @type {HTMLElement} */ (document.getElementById('status'));
const results = /** @type {HTMLTableElement} */ (document.getElementById('results'));

/** @param {number} seed */
function makeModel(seed) {
  const kernelInitializer = tfl.initializers.glorotNormal({ seed });
  return tfl.sequential({
    layers: [
      tfl.layers.dense({ units: 128, activation: 'relu', kernelInitializer, inputShape: [PIXELS] }),
      tfl.layers.dense({ units: 64, activation: 'relu', kernelInitializer }),
      tfl.layers.dense({ name: 'classifier', units: 10, activation: 'softmax', kernelInitializer }),
    ],
  });
}

/** @param {number} steps @param {number} seed */
async function run(steps, seed) {
  const train = drawDigits({ count: COUNT, seed });
  const test = drawDigits({ count: TESTED, seed: seed + 1 });
  const images = tf.tensor2d(train.pixels, [COUNT, PIXELS]);
  const labels = tf.tensor1d(Float32Array.from(train.labels));
  const testImages = tf.tensor2d(test.pixels, [TESTED, PIXELS]);

  /** @param {tf.Optimizer} optimizer */
  async function* training(optimizer) {
    const model = makeModel(seed);
    model.compile({ optimizer, loss: 'sparseCategoricalCrossentropy' });
    for (let step = 0; step < steps; step++) {
      const from = (step * BATCH) % (COUNT - BATCH);
      const [x, y] = [tf.slice(images, from, BATCH), tf.slice(labels, from, BATCH)];
      yield { loss: Number(await model.trainOnBatch(x, y)), optimizers: [optimizer] };
      tf.dispose([x, y]);
    }
    const guesses = await tf.tidy(() => tf.argMax(/** @type {tf.Tensor} */ (model.predict(testImages)), 1)).data();
    const right = guesses.filter((guess, i) => guess === test.labels[i]).length;
    // A page goes on: what a run made is given back.
    model.dispose();
    optimizer.dispose();
    return { read: `${((100 * right) / TESTED).toFixed(1)} %` };
  }

  let painted = performance.now();
  const rows = await compare(
    {
      'tf.train.adam': tf.train.adam(1e-3),
      frugal: frugal({ learningRate: 1e-3, seed }),
      lion: recipe('lion', { learningRate: 2e-4 }),
    },
    training,
    async (name, step, loss) => {
      status.textContent = `Step ${step} of ${steps}, ${name}: loss ${loss.toFixed(4)}`;
      // The training has the thread of the page: let it paint and listen now and then.
      if (performance.now() - painted < 50) return;
      await new Promise(resolve => setTimeout(resolve));
      painted = performance.now();
    },
  );
  tf.dispose([images, labels, testImages]);
  return rows;
}

/** @param {readonly (readonly string[])[]} cells head and rows */
function show(cells) {
  results.replaceChildren(
    ...cells.map((row, index) => {
      const line = document.createElement('tr');
      for (const cell of row) {
        const element = document.createElement(index === 0 ? 'th' : 'td');
        element.textContent = cell;
        line.append(element);
      }
      return line;
    }),
  );
}

start.addEventListener('click', async () => {
  if (![stepsInput, seedInput].every(input => input.reportValidity())) return;
  start.disabled = true;
  const [steps, seed] = [stepsInput.valueAsNumber, seedInput.valueAsNumber];
  try {
    show(tableCells(await run(steps, seed)));
    status.textContent = `Digits, ${steps} steps of ${BATCH} images, seed ${seed}`;
  } catch (error) {
    status.textContent = `It failed: ${error instanceof Error ? error.message : error}`;
    throw error;
  } finally {
    start.disabled = false;
  }
});
start.disabled = false;
status.textContent = 'Ready.';
