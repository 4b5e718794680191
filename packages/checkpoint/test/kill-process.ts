// A process with two workers. Each saves every step in a folder of its own, for as long as it lives, going on from what it
// finds there; both ask for a third folder, which one of them gets and saves in as well. Each line that it writes is a
// folder and a step that was reported as saved in it, or a folder and `refused`.
import { createHash } from 'node:crypto';
import { writeSync } from 'node:fs';
import { join } from 'node:path';
import { isMainThread, Worker, workerData } from 'node:worker_threads';
import * as tf from '@tensorflow/tfjs-core';
import { CheckpointHeldError, Checkpoints } from '../src/index.js';
import { FolderStore } from '../src/node/index.js';

export const FOLDERS = ['first', 'second', 'both'] as const;

/** Weights of a step: numbers that tell which. */
export function weightsOf(step: number): Record<string, tf.Tensor> {
  return {
    'a.weight': tf.tensor1d(Float32Array.from({ length: 2000 }, (_, i) => Math.sin(i + step))),
    'model.norm.weight': tf.tensor1d([step]),
  };
}

/** A digest of weights, in hexadecimal. */
export function digestOf(weights: Readonly<Record<string, tf.Tensor>>): string {
  const hash = createHash('sha256');
  for (const name of Object.keys(weights).sort()) hash.update(name).update(weights[name]!.dataSync() as Float32Array);
  return hash.digest('hex');
}

export function checkpointsIn(folder: string, onWarning: (line: string) => void): Checkpoints {
  return new Checkpoints({ store: new FolderStore(folder), keepLast: 2, keepBest: 1, onWarning });
}

async function saveForEver(root: string, names: readonly string[]): Promise<void> {
  await import('@tensorflow/tfjs-backend-cpu');
  await tf.setBackend('cpu');
  const runs: { name: string; checkpoints: Checkpoints; step: number }[] = [];
  for (const name of names) {
    const checkpoints = checkpointsIn(join(root, name), line => say(name, line));
    try {
      await checkpoints.prepare();
      runs.push({ name, checkpoints, step: (await checkpoints.latest())?.step ?? 0 });
    } catch (error) {
      if (!(error instanceof CheckpointHeldError)) throw error;
      say(name, 'refused');
    }
  }
  for (;;) {
    for (const run of runs) {
      const model = weightsOf(++run.step);
      const trainer = { digest: digestOf(model) };
      const saving = await run.checkpoints.save({ step: run.step, model, metric: -run.step, trainer });
      await saving!.done;
      say(run.name, `${run.step}`);
      tf.dispose(model);
    }
  }
}

/** At once, and not when the main thread gets to it: what was said must not die with the process. */
function say(name: string, what: string): void {
  writeSync(1, `${name} ${what}\n`);
}

if (isMainThread && process.argv[1]?.endsWith('.mjs')) {
  for (const own of ['first', 'second']) {
    new Worker(process.argv[1], { workerData: { root: process.argv[2], names: [own, 'both'] } });
  }
} else if (!isMainThread && workerData?.names !== undefined) {
  await saveForEver(workerData.root as string, workerData.names as string[]);
}
