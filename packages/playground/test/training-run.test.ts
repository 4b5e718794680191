import '@frugaljs/backend-wasm';
import { bytesSource, SafetensorsReader } from '@frugaljs/checkpoint';
import { recipe } from '@frugaljs/composer';
import { preset } from '@frugaljs/llama';
import { setBackend } from '@tensorflow/tfjs-core';
import '@tensorflow/tfjs-layers';
import { beforeAll, describe, expect, it } from 'vitest';
import type { RunSettings } from '../src/protocol.js';
import { TrainingRun } from '../src/worker/training-run.js';

beforeAll(async () => void (await setBackend('wasm')));

const RUN = { model: 'nano', steps: 8, seed: 1 } as RunSettings;
const BATCH = { data: Int32Array.of(1, 2, 3, 1, 2, 3, 1, 2), shape: [1, 8] } as const;

async function trained(name: string): Promise<TrainingRun> {
  const json = JSON.stringify(recipe(name, { learningRate: 0.05 }));
  const run = new TrainingRun({ kind: 'json', title: name, json }, preset(RUN.model), RUN);
  for (let i = 0; i < 6; i++) await run.step(BATCH);
  return run;
}

/** The norm's weights as a downloaded file has them. */
async function downloaded(run: TrainingRun): Promise<Float32Array> {
  const { blob } = await run.file('weights');
  const reader = await SafetensorsReader.open(bytesSource(new Uint8Array(await blob.arrayBuffer()), 'weights'));
  return await reader.readFloat32('model.norm.weight');
}

describe('what a run gives away', () => {
  it.each(['scheduleFree', 'adamW'])('of %s is what its optimizer would evaluate', async name => {
    const run = await trained(name);
    const variable = run.model.parameters()['model.norm.weight']!;
    const inTraining = variable.dataSync().slice();
    const evaluated = run.optimizer.withAveragedWeights(() => variable.dataSync().slice());
    expect(Buffer.from(evaluated.buffer).equals(Buffer.from(inTraining.buffer))).toBe(name === 'adamW');
    expect(await downloaded(run)).toEqual(evaluated);
    const text = await run.sample({ prompt: 'a', length: 4, seed: 3 }, () => {});
    expect(text.startsWith('a')).toBe(true);
    // Training goes on with its own weights.
    expect(variable.dataSync()).toEqual(inTraining);
    await run.step(BATCH);
    run.optimizer.dispose();
    run.model.dispose();
  });
});
