// Two networks against each other: a generator makes points, a critic tells them from true ones. The true ones lie on a ring
// of eight clusters. Each network trains by its own list of variables; one optimizer keeps the state of both.
import * as tfl from '@tensorflow/tfjs-layers';
import { adamW, compose, galore, residual, rows, signSgd, subspace, tf } from 'frugaljs';
import { readSettings } from '../command-line.js';
import { compare, printTable } from '../comparison.js';
import { randomNumbers } from '../random.js';

const { steps, seed } = readSettings(1500);
await tf.setBackend('wasm');

const [BATCH, NOISE, CLUSTERS] = [64, 8, 8];

/**
 * @param {string} name begins the names of its variables: groups find them by it
 * @param {number} inputs
 * @param {number} outputs
 */
function makeNetwork(name, inputs, outputs) {
  const sizes = [inputs, 64, 64, outputs];
  const layers = [1, 2, 3].map(index =>
    tfl.layers.dense({
      name: `${name}_${index}`,
      units: sizes[index] ?? 1,
      inputShape: [sizes[index - 1] ?? 1],
      activation: index < 3 ? 'relu' : 'linear',
      kernelInitializer: tfl.initializers.heNormal({ seed: seed + index }),
    }),
  );
  const model = tfl.sequential({ layers });
  // What a LayerVariable reads is the variable itself.
  const variables = model.trainableWeights.map(weight => /** @type {tf.Variable} */ (weight.read()));
  return {
    variables,
    apply: (/** @type {tf.Tensor} */ x) => /** @type {tf.Tensor} */ (model.apply(x, { training: true })),
  };
}

/** @param {() => number} random */
function truePoints(random) {
  const points = Array.from({ length: BATCH }, () => {
    const angle = (2 * Math.PI * Math.floor(random() * CLUSTERS)) / CLUSTERS;
    return [Math.cos(angle) + 0.1 * (random() - 0.5), Math.sin(angle) + 0.1 * (random() - 0.5)];
  });
  return tf.tensor2d(points);
}

/** @param {{ generator: tf.Optimizer, critic: tf.Optimizer }} optimizers two, or one and the same */
async function* training(optimizers) {
  const generator = makeNetwork('generator', NOISE, 2);
  const critic = makeNetwork('critic', 2, 1);
  const random = randomNumbers(seed);
  /** @type {(points: tf.Tensor, truth: number) => tf.Scalar} */
  const verdict = (points, truth) =>
    tf.losses.sigmoidCrossEntropy(tf.fill([points.shape[0] ?? 0, 1], truth), critic.apply(points));
  for (let step = 0; step < steps; step++) {
    const real = truePoints(random);
    const noise = tf.randomNormal([BATCH, NOISE], 0, 1, 'float32', 1 + seed + step);
    const made = tf.tidy(() => generator.apply(noise));
    const loss = optimizers.critic.minimize(() => tf.add(verdict(real, 1), verdict(made, 0)), true, critic.variables);
    optimizers.generator.minimize(() => verdict(generator.apply(noise), 1), false, generator.variables);
    const read = (await loss?.data())?.[0] ?? Number.NaN;
    tf.dispose([real, noise, made, ...(loss ? [loss] : [])]);
    yield { loss: read, optimizers: [...new Set(Object.values(optimizers))] };
  }
  const noise = tf.randomNormal([1000, NOISE], 0, 1, 'float32', seed);
  const made = /** @type {number[][]} */ (await tf.tidy(() => generator.apply(noise)).array());
  return quality(made);
}

/** @param {readonly number[][]} points */
function quality(points) {
  const near = new Array(CLUSTERS).fill(0);
  for (const [x = 0, y = 0] of points) {
    const cluster = (Math.round((Math.atan2(y, x) / (2 * Math.PI)) * CLUSTERS) + CLUSTERS) % CLUSTERS;
    const angle = (2 * Math.PI * cluster) / CLUSTERS;
    if (Math.hypot(x - Math.cos(angle), y - Math.sin(angle)) < 0.25) near[cluster]++;
  }
  const hits = near.reduce((sum, count) => sum + count, 0);
  return {
    clusters: `${near.filter(count => count >= points.length / CLUSTERS / 10).length} of ${CLUSTERS}`,
    near: `${Math.round((100 * hits) / points.length)} %`,
  };
}

/** AdamW with low momentum, as GANs want it, for a quarter of the rows; the sign of the gradient for the others. */
function frugalPair() {
  const rule = adamW({ beta1: 0.5 });
  const hybrid = subspace({ projector: rows({ density: 0.25 }), rule, combine: residual(signSgd(), { scale: 0.1 }) });
  const both = compose({
    learningRate: 1e-3,
    groups: [
      { match: { maxRank: 1 }, use: rule }, // biases
      { match: /^critic/, use: hybrid },
      { match: /^generator/, use: hybrid, lrScale: 0.5 },
    ],
    seed,
  });
  return { generator: both, critic: both };
}

const rowsOfTable = await compare(
  {
    // Adam of TensorFlow.js keeps its moments by position in the list of variables: each list needs one of its own.
    '2 × tf.train.adam': () => ({ generator: tf.train.adam(5e-4, 0.5), critic: tf.train.adam(1e-3, 0.5) }),
    compose: frugalPair,
    galore: () => {
      const both = galore({
        learningRate: 1e-3,
        scale: 1,
        updateGap: 100,
        adam: { beta1: 0.5 },
        // Of the kernels of 2 and of 1 a quarter of the rank would be nothing; GaLore says so and trains none of them.
        projectable: /_2\/kernel/,
        seed,
      });
      return { generator: both, critic: both };
    },
  },
  make => training(make()),
);
printTable(`Ring of ${CLUSTERS} clusters, ${steps} steps of ${BATCH} points, seed ${seed}`, rowsOfTable);
