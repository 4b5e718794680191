import { recipe } from '@frugaljs/composer';
import { LlamaForCausalLM } from '@frugaljs/llama';
import { beforeAll, expect, test } from 'vitest';
import { selectBackend } from '../src/backend.js';
import { train } from '../src/training/train.js';
import { TINY, tinyData } from './support/tiny.js';

const STEPS = 60;
const data = tinyData();

beforeAll(() => selectBackend('wasm'));

async function losses(name: string, kernels: 'auto' | 'reference'): Promise<readonly number[]> {
  const model = new LlamaForCausalLM(TINY, { seed: 5 });
  const optimizer = recipe(name, { learningRate: 0.01, clip: { globalNorm: 1 }, kernels });
  try {
    const curve = (await train({ model, optimizer, data, steps: STEPS, validationBatches: 4 })).losses;
    const ran = optimizer.explain().map(({ kernel }) => kernel);
    if (kernels === 'auto') expect(ran.some(kernel => kernel.includes('fused'))).toBe(true);
    else expect(ran.every(kernel => !kernel.includes('fused'))).toBe(true);
    return curve;
  } finally {
    model.dispose();
    optimizer.dispose();
  }
}

test.each(['adamW', 'lion', 'frugal', 'galore', 'badam'] as const)(
  '%s: the losses of fused kernels are those of the reference',
  async name => {
    const [fused, reference] = [await losses(name, 'auto'), await losses(name, 'reference')];
    expect(fused.length).toBe(STEPS);
    expect(fused.at(-1)!).toBeLessThan(fused[0]!);
    const worst = Math.max(...fused.map((loss, i) => Math.abs(loss - reference[i]!)));
    expect(worst).toBeLessThan(1e-3);
  },
);
