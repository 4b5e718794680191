// node --conditions=@frugaljs/source --import tsx packages/checkpoint/bench/save.ts [CONFIGURATION] [RECIPE] [ROUNDS]
// How long a save keeps training waiting, when the checkpoint is durable, and how long restoring takes: medians.
import '@frugaljs/backend-wasm';
import '@tensorflow/tfjs-layers';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { setImmediate } from 'node:timers/promises';
import { recipe } from '@frugaljs/composer';
import { parameterSpecs, preset } from '@frugaljs/llama';
import * as tf from '@tensorflow/tfjs-core';
import { Checkpoints } from '../src/index.js';
import { FolderStore } from '../src/node/index.js';

const [configuration = '60m', name = 'frugal', rounds = '5'] = process.argv.slice(2);
await tf.setBackend('wasm');
const model = Object.fromEntries(
  parameterSpecs(preset(configuration)).map(spec => [
    spec.name,
    tf.tidy(() => tf.variable(tf.fill([...spec.shape], 0.01), true, spec.name)),
  ]),
);
const optimizer = recipe(name, {});
for (let step = 0; step < 2; step++) {
  const gradients = Object.fromEntries(Object.entries(model).map(([key, { shape }]) => [key, tf.fill(shape, 0.001)]));
  optimizer.applyGradients(gradients);
  tf.dispose(gradients);
}

const folder = mkdtempSync(join(tmpdir(), 'checkpoint-bench-'));
const checkpoints = new Checkpoints({ store: new FolderStore(folder), keepLast: 1, keepBest: 0 });
const times = new Map<string, number[]>();
const record = (what: string, milliseconds: number): void => {
  times.set(what, [...(times.get(what) ?? []), milliseconds]);
};
const timed = async <T>(what: string, work: () => Promise<T>): Promise<T> => {
  const started = performance.now();
  const result = await work();
  record(what, performance.now() - started);
  return result;
};
try {
  for (let round = 1; round <= Number(rounds); round++) {
    const state = { step: round, model, optimizer, trainer: { round } };
    // The event loop turns as it does between two steps of training; what holds it up would hold up training.
    const stalls = monitorEventLoopDelay({ resolution: 1 });
    await timed('durable, with a copy', async () => {
      const saving = (await timed('training waits, with a copy', () => checkpoints.save(state)))!;
      let written = false;
      saving.done.finally(() => {
        written = true;
      });
      stalls.enable();
      while (!written) await setImmediate();
      stalls.disable();
    });
    record('longest stall while writing', stalls.max / 1e6);
    await timed('training waits, without a copy', () =>
      checkpoints.save({ ...state, step: 100 + round }, { copy: false }),
    );
    const saved = await timed('latest (verifies)', () => checkpoints.latest());
    await timed('restore', () => saved!.restore({ model, optimizer }));
  }
  const saved = (await checkpoints.latest())!;
  const bytes = Object.values(saved.manifest.files).reduce((sum, file) => sum + file.bytes, 0);
  console.log(`${configuration}, ${name}: ${(bytes / 2 ** 20).toFixed(0)} MiB in ${folder}`);
  console.table(
    [...times].map(([what, all]) => {
      const median = all.sort((a, b) => a - b)[Math.floor(all.length / 2)]!;
      return { what, 'median ms': +median.toFixed(1), 'MiB/s': Math.round((bytes / 2 ** 20 / median) * 1000) };
    }),
  );
} finally {
  rmSync(folder, { recursive: true, force: true });
}
