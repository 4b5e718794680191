import '@tensorflow/tfjs-backend-cpu';
import { memory, setBackend } from '@tensorflow/tfjs-core';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { checkSampling, sampleToken } from '../src/generate.js';
import { generate, LlamaForCausalLM } from '../src/index.js';
import { TINY } from './tiny-model.js';

describe('sampleToken', () => {
  const logits = Float32Array.of(0, 2, 1, 2, -1);
  const counts = (options: object): number[] => {
    const seen = Array<number>(5).fill(0);
    const draws = 1000;
    for (let i = 0; i < draws; i++) seen[sampleToken(logits, options, (i + 0.5) / draws)]! += 1;
    return seen.map(count => count / draws);
  };

  it('takes the first most likely token at temperature 0', () => {
    fc.assert(
      fc.property(fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }), u => {
        expect(sampleToken(logits, { temperature: 0 }, u)).toBe(1);
      }),
      { seed: 1 },
    );
  });

  it('follows the softmax of the logits over the temperature', () => {
    for (const temperature of [0.5, 1, 3]) {
      const weights = [...logits].map(x => Math.exp(x / temperature));
      const total = weights.reduce((a, b) => a + b);
      for (const [i, frequency] of counts({ temperature }).entries()) {
        expect(Math.abs(frequency - weights[i]! / total)).toBeLessThan(2e-3);
      }
    }
  });

  it('keeps the topK most likely', () => {
    expect(counts({ topK: 3 }).map(f => f > 0)).toEqual([false, true, true, true, false]);
    expect(counts({ topK: 1 })).toEqual([0, 1, 0, 0, 0]);
  });

  it('keeps the smallest set that reaches topP', () => {
    // Probabilities: 0.366, 0.366, 0.135, 0.050, 0.018 of about 1 after normalization.
    expect(counts({ topP: 0.3 })).toEqual([0, 1, 0, 0, 0]);
    expect(counts({ topP: 0.5 }).map(f => f > 0)).toEqual([false, true, false, true, false]);
    expect(counts({ topP: 0.9 }).map(f => f > 0)).toEqual([false, true, true, true, false]);
  });

  it.each([
    [{ temperature: -1 }, 'temperature'],
    [{ temperature: Number.NaN }, 'temperature'],
    [{ topK: 0 }, 'topK'],
    [{ topK: 1.5 }, 'topK'],
    [{ topP: 0 }, 'topP'],
    [{ topP: 1.1 }, 'topP'],
  ])('refuses %j', (options, parameter) => {
    expect(() => checkSampling(options)).toThrow(new RegExp(`^${parameter}: expected`));
  });
});

describe('generate', () => {
  let model: LlamaForCausalLM;
  beforeAll(async () => {
    await setBackend('cpu');
    model = new LlamaForCausalLM(TINY, { seed: 2 });
  });
  afterAll(() => model.dispose());

  it('repeats itself for a seed and differs between seeds', async () => {
    const options = { maxNewTokens: 12, temperature: 2 };
    const first = await generate(model, [1, 2], { ...options, seed: 5 });
    expect(first).toHaveLength(12);
    expect(await generate(model, [1, 2], { ...options, seed: 5 })).toEqual(first);
    expect(await generate(model, [1, 2], { ...options, seed: 6 })).not.toEqual(first);
  });

  it('takes at temperature 0 the arg max of forward over the last window', async () => {
    const tokens = [3];
    // Longer than max_position_embeddings = 16, so the window has to slide.
    for (const token of await generate(model, tokens, { maxNewTokens: 20, temperature: 0 })) {
      const window = tokens.slice(-16);
      const logits = model.logitsAt([window], window.length - 1);
      const values = logits.dataSync();
      logits.dispose();
      expect(values[token]).toBe(Math.max(...values));
      tokens.push(token);
    }
    expect(tokens).toHaveLength(21);
  });

  it('stops at the stop token, tells of each token, and leaks nothing', async () => {
    const seen: number[] = [];
    const all = await generate(model, [1], { maxNewTokens: 30, temperature: 2, onToken: t => seen.push(t) });
    expect(seen).toEqual(all);
    const before = memory().numTensors;
    const stop = all[5]!;
    const stopped = await generate(model, [1], { maxNewTokens: 30, temperature: 2, stopToken: stop });
    expect(stopped).toEqual(all.slice(0, all.indexOf(stop)));
    expect(memory().numTensors).toBe(before);
  });

  it('ends after the token at which it is aborted', async () => {
    const all = await generate(model, [1], { maxNewTokens: 9, temperature: 2 });
    const controller = new AbortController();
    const { signal } = controller;
    let seen = 0;
    const onToken = (): void => void (++seen === 4 && controller.abort());
    expect(await generate(model, [1], { maxNewTokens: 9, temperature: 2, onToken, signal })).toEqual(all.slice(0, 4));
    expect(await generate(model, [1], { maxNewTokens: 9, signal })).toEqual([]);
  });

  it('refuses an empty prompt', async () => {
    await expect(generate(model, [])).rejects.toThrow(/prompt: expected at least one token/);
  });
});
