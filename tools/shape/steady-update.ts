// Which files and functions one steady update runs through: an update between two refreshes, after everything has been
// planned and compiled, of the program in the README. Counted by V8 itself, so nothing of it can be overlooked.
import { Session } from 'node:inspector/promises';
import '@frugaljs/backend-wasm';
import { compose, residual, subspace } from '@frugaljs/composer';
import { warmupCosine } from '@frugaljs/core';
import { rows } from '@frugaljs/projectors';
import { signSgd } from '@frugaljs/state-free';
import { adamW } from '@frugaljs/state-full';
import * as tf from '@tensorflow/tfjs-core';
import '@tensorflow/tfjs-layers';

/** Names of the functions that ran, by file from the root of the workspace. */
export type Route = ReadonlyMap<string, readonly string[]>;

/** Updates before counting starts: the first ones plan, compile and fill caches. */
const warmUp = 4;
/** Updates counted: what happens only in some of them (a log, a check) is on the way, too. */
const counted = 4;

export async function measureSteadyUpdate(): Promise<Route> {
  await tf.setBackend('wasm');
  const matrix = tf.variable(tf.randomNormal([64, 256], 0, 0.1, 'float32', 1), true, 'layers.0.up');
  const vector = tf.variable(tf.ones([256]), true, 'norm');
  const input = tf.randomNormal([32, 64], 0, 1, 'float32', 2);
  const optimizer = compose({
    learningRate: warmupCosine({ peak: 1e-3, warmup: 10, total: 100 }),
    groups: [
      { match: /norm/, use: adamW() },
      {
        use: subspace({
          projector: rows({ density: 0.25 }),
          rule: adamW(),
          combine: residual(signSgd()),
          refresh: { every: 200 },
        }),
        weightDecay: 0.1,
      },
    ],
    clip: { globalNorm: 1 },
  });
  const { grads } = tf.variableGrads(() =>
    tf.mean(tf.square(tf.sub(tf.mul(tf.matMul(input, matrix as tf.Tensor2D), vector), 1))),
  );
  const update = () => optimizer.applyGradients(grads);
  for (let i = 0; i < warmUp; i++) update();
  return routeOf(() => {
    for (let i = 0; i < counted; i++) update();
  });
}

/**
 * Functions of packages/ that a piece of code runs through.
 *
 * @param run synchronous
 */
async function routeOf(run: () => void): Promise<Route> {
  const session = new Session();
  session.connect();
  await session.post('Profiler.enable');
  await session.post('Profiler.startPreciseCoverage', { callCount: true, detailed: false });
  await session.post('Profiler.takePreciseCoverage'); // sets the counts to zero
  run();
  const { result } = await session.post('Profiler.takePreciseCoverage');
  session.disconnect();

  const route = new Map<string, string[]>();
  for (const { url, functions } of result) {
    const [, file] = /\/(packages\/[^/]+\/src\/[^?]+)/.exec(url) ?? [];
    if (!file) continue;
    const ran = functions.filter(({ ranges }) => (ranges[0]?.count ?? 0) > 0).map(({ functionName }) => functionName);
    if (ran.length === 0) continue;
    // An arrow function passed along belongs to the function that it stands in; it counts where it stands alone.
    const named = ran.filter(name => name !== '');
    route.set(file, named.length > 0 ? named : ran.map(() => '(anonymous)'));
  }
  return route;
}
