import '@frugaljs/backend-wasm';
import '@frugaljs/backend-wasm/cpu';
import '@tensorflow/tfjs-backend-cpu';
import { compose, residual, subspace } from '@frugaljs/composer';
import { rows } from '@frugaljs/projectors';
import { signSgd } from '@frugaljs/state-free';
import { adamW } from '@frugaljs/state-full';
import { dispose, setBackend } from '@tensorflow/tfjs-core';
import { describe, expect, test } from 'vitest';
import { difference, makeGradients, makeVariables, type Run } from './runs.js';
import { missing } from './tensorflow.js';

/** Ten steps, each on the backend of its turn; parameters and state move along. */
async function ride(backends: readonly string[]): Promise<Run> {
  await setBackend(backends[0]!);
  const variables = makeVariables([[6, 8], [300, 257], [5]]);
  const split = subspace({
    projector: rows({ density: 0.4 }),
    rule: adamW(),
    combine: residual(signSgd()),
    refresh: { every: 7 },
  });
  const optimizer = compose({
    learningRate: 0.01,
    groups: [
      { match: /w0$/, use: split },
      { use: adamW(), weightDecay: 0.1 },
    ],
  });
  for (let step = 0; step < 10; step++) {
    await setBackend(backends[step % backends.length]!);
    const gradients = makeGradients(variables, step);
    optimizer.applyGradients(gradients);
    dispose(gradients);
  }
  const values = variables.map(v => v.dataSync().slice() as Float32Array);
  optimizer.dispose();
  dispose(variables);
  return { values, kernels: [] };
}

describe.skipIf(missing !== null)('a model that moves between backends while it is trained', () => {
  test.each([
    [['tensorflow', 'wasm']],
    [['wasm', 'wasm', 'wasm', 'tensorflow', 'tensorflow']],
    [['tensorflow', 'cpu', 'wasm']],
  ])('%j ends where one backend ends', async backends => {
    const moved = await ride(backends);
    const stayed = await ride(['cpu']);
    expect(difference(moved, stayed)).toBeLessThan(5e-6);
  });
});
