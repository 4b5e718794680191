// A training loop without layers: variables, a loss, and optimizer.minimize. Gradients of four batches make one update, and
// their norm is limited to 1: two options of a recipe, or a function around tf.train.adam.
import { badam, frugal, tf } from 'frugaljs';
import { readSettings } from '../command-line.js';
import { compare, printTable } from '../comparison.js';
import { randomNumbers } from '../random.js';

const { steps, seed } = readSettings(200);
await tf.setBackend('wasm');

const [ACCUMULATE, LIMIT] = [4, 1];

/**
 * @typedef {(loss: () => tf.Scalar, variables: tf.Variable[]) => tf.Scalar | null} Step one batch; returns its loss
 * @typedef {{ optimizer: tf.Optimizer, step: Step, sums: (variables: tf.Variable[]) => number }} Trainer with the bytes of
 *   the sums of gradients
 */

// Two spirals that wind around each other, and noise; which of them is a point on?
const BATCH = 64;
const random = randomNumbers(seed);
const batches = Array.from({ length: ACCUMULATE * steps }, () => {
  const points = Array.from({ length: BATCH }, () => {
    const [which, along] = [Math.floor(random() * 2), 0.25 + random()];
    const angle = 2 * Math.PI * along + Math.PI * which;
    return [along * Math.cos(angle) + 0.1 * random(), along * Math.sin(angle) + 0.1 * random(), which];
  });
  const x = points.map(([a = 0, b = 0]) => [a, b]);
  return { x: tf.tensor2d(x), y: tf.tensor2d(points.map(([, , which = 0]) => [which])) };
});

/** @param {string} prefix of the names of its variables, which TensorFlow.js wants to be unique in a program */
function makeModel(prefix) {
  const sizes = [2, 128, 128, 128, 1];
  const layers = sizes.slice(1).map((outputs, index) => {
    const inputs = sizes[index] ?? 1;
    const start = tf.randomNormal([inputs, outputs], 0, Math.sqrt(2 / inputs), 'float32', seed + index);
    return {
      // State is kept by name; groups, too, find parameters by it. `layers.0` tells badam what a layer is.
      kernel: tf.variable(start, true, `${prefix}.layers.${index}.kernel`),
      bias: tf.variable(tf.zeros([outputs]), true, `${prefix}.layers.${index}.bias`),
    };
  });
  /** @param {tf.Tensor2D} x */
  const logits = x =>
    layers.reduce((hidden, { kernel, bias }, index) => {
      const sum = tf.add(tf.matMul(hidden, /** @type {tf.Tensor2D} */ (kernel)), bias);
      return /** @type {tf.Tensor2D} */ (index < layers.length - 1 ? tf.relu(sum) : sum);
    }, x);
  /** @type {(batch: { x: tf.Tensor2D, y: tf.Tensor2D }) => tf.Scalar} */
  const loss = ({ x, y }) => tf.losses.sigmoidCrossEntropy(y, logits(x));
  return { loss, variables: layers.flatMap(({ kernel, bias }) => [kernel, bias]) };
}

/**
 * What `accumulate: 4` and `clip: { globalNorm: 1 }` do, by hand.
 *
 * @param {tf.Optimizer} adam
 * @returns {Trainer}
 */
function byHand(adam) {
  /** @type {Record<string, tf.Tensor>} */
  let sums = {};
  let count = 0;
  return {
    optimizer: adam,
    sums: (/** @type {tf.Variable[]} */ variables) => variables.reduce((bytes, { size }) => bytes + 4 * size, 0),
    /** @type {Step} */
    step(loss, variables) {
      const { value, grads } = tf.variableGrads(loss, variables);
      for (const [name, gradient] of Object.entries(grads)) {
        const before = sums[name];
        sums[name] = before ? tf.add(before, gradient) : tf.clone(gradient);
        tf.dispose([before, gradient].filter(tensor => tensor !== undefined));
      }
      if (++count === ACCUMULATE) {
        tf.tidy(() => {
          const means = Object.entries(sums).map(([name, sum]) => ({ name, tensor: tf.div(sum, count) }));
          const norm = tf.sqrt(tf.addN(means.map(({ tensor }) => tf.sum(tf.square(tensor)))));
          const factor = tf.minimum(1, tf.div(LIMIT, tf.add(norm, 1e-6)));
          adam.applyGradients(means.map(({ name, tensor }) => ({ name, tensor: tf.mul(tensor, factor) })));
        });
        tf.dispose(sums);
        sums = {};
        count = 0;
      }
      return value;
    },
  };
}

/**
 * @param {tf.Optimizer} optimizer that accumulates and clips by itself
 * @returns {Trainer}
 */
function asOption(optimizer) {
  // It counts its sums as state.
  return { optimizer, sums: () => 0, step: (loss, variables) => optimizer.minimize(loss, true, variables) };
}

let models = 0;

/** @param {Trainer} trainer */
async function* training({ optimizer, sums, step }) {
  const { loss, variables } = makeModel(`model${models++}`);
  for (let update = 0; update < steps; update++) {
    let total = 0;
    for (const batch of batches.slice(ACCUMULATE * update, ACCUMULATE * (update + 1))) {
      const value = step(() => loss(batch), variables);
      total += (await value?.data())?.[0] ?? Number.NaN;
      value?.dispose();
    }
    yield { loss: total / ACCUMULATE, optimizers: [optimizer], besides: sums(variables) };
  }
  return {};
}

const options = { learningRate: 3e-3, accumulate: ACCUMULATE, clip: { globalNorm: LIMIT }, seed };
const rows = await compare(
  {
    'tf.train.adam, by hand': () => byHand(tf.train.adam(3e-3)),
    frugal: () => asOption(frugal({ ...options, stateFreeScale: 0.3 })),
    badam: () => asOption(badam({ ...options, density: 0.5, switchEvery: 10 })),
  },
  make => training(make()),
);
printTable(`Spirals, ${steps} updates of ${ACCUMULATE} × ${BATCH} points, seed ${seed}`, rows);
