import '@frugaljs/backend-wasm';
import '@frugaljs/backend-wasm/cpu';
import '@tensorflow/tfjs-layers';
import { compose, subspace } from '@frugaljs/composer';
import { type LlamaConfigInput, LlamaForCausalLM, type LlamaOptions } from '@frugaljs/llama';
import { given } from '@frugaljs/projectors';
import { sgd } from '@frugaljs/state-free';
import { adamW } from '@frugaljs/state-full';
import {
  backend,
  dispose,
  matMul,
  memory,
  mul,
  profile,
  setBackend,
  type Tensor,
  type Tensor2D,
  tidy,
  transpose,
  variableGrads,
} from '@tensorflow/tfjs-core';
import fc from 'fast-check';
import { beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { BACKENDS, useBackend } from '../../../tools/test-support/backends.js';
import { worstError } from '../../../tools/test-support/closeness.js';
import { ROWS, TINY } from '../../llama/test/tiny-model.js';
import { HeapMeter } from '../../trainer/test/support/heap-meter.js';
import { Lora, type LoraOptions, loraShapes } from '../src/index.js';
import { LinearModel, numbers, orthonormalRows } from './linear-model.js';

function llama(options: LlamaOptions = {}, config: LlamaConfigInput = {}): LlamaForCausalLM {
  const model = new LlamaForCausalLM({ ...TINY, ...config }, { seed: 5, ...options });
  onTestFinished(() => model.dispose());
  return model;
}

function lora(model: ConstructorParameters<typeof Lora>[0], options: LoraOptions = {}): Lora {
  const adapter = new Lora(model, options);
  onTestFinished(() => adapter.unload());
  return adapter;
}

/** Gives every B values other than 0, as training would. */
function fillB(adapter: Lora): void {
  for (const [i, [name, part]] of Object.entries(adapter.parameters()).entries()) {
    if (name.includes('lora_B')) tidy(() => part.assign(mul(numbers(part.shape, i), 0.2)));
  }
}

const close = (found: Tensor, wanted: Tensor): number => worstError(found.dataSync(), wanted.dataSync());

describe.each(BACKENDS)('on %s', name => {
  useBackend(name);

  test.each([{}, { recompute: true }])('at first the model computes what it did, bit for bit: %j', options => {
    const model = llama(options, { tie_word_embeddings: true });
    const before = tidy(() => [model.forward(ROWS).dataSync(), model.loss(ROWS).dataSync()]);
    lora(model, { r: 3 });
    expect(tidy(() => [model.forward(ROWS).dataSync(), model.loss(ROWS).dataSync()])).toEqual(before);
  });

  test.each([{}, { recompute: true }, { maxLogits: 22 }])(
    'the gradients of A and B follow from those of the weights: %j',
    options => {
      const model = llama(options);
      const adapter = lora(model, { r: 3, loraAlpha: 5 });
      fillB(adapter);
      const parts = Object.entries(adapter.parameters());
      const { grads } = variableGrads(() => model.loss(ROWS));
      expect(Object.keys(grads).sort()).toEqual(parts.map(([part]) => part).sort());

      const values = Object.fromEntries(parts.map(([part, value]) => [part, value.clone() as Tensor2D]));
      const { scale } = adapter;
      adapter.mergeAndUnload();
      const full = variableGrads(() => model.loss(ROWS)).grads;
      for (const weight of model.linearLayers()) {
        const [a, b] = ['A', 'B'].map(part => weight.replace(/weight$/, `lora_${part}.weight`)) as [string, string];
        const g = full[weight] as Tensor2D;
        expect(close(grads[a]!, mul(matMul(values[b]!, g, true, false), scale))).toBeLessThan(2e-5);
        expect(close(grads[b]!, mul(matMul(g, values[a]!, false, true), scale))).toBeLessThan(2e-5);
      }
    },
  );

  test('merged, the model computes what it did with the adapter, and is trained in full again', () => {
    const model = llama();
    const adapter = lora(model, { r: 2, useRslora: true, loraAlpha: 4, targetModules: ['q_proj', /1\.mlp/] });
    expect(adapter.scale).toBe(4 / Math.SQRT2);
    expect(adapter.config.modules).toEqual([
      'model.layers.0.self_attn.q_proj',
      'model.layers.1.self_attn.q_proj',
      ...['gate', 'up', 'down'].map(part => `model.layers.1.mlp.${part}_proj`),
    ]);
    fillB(adapter);
    const [base, adapted] = [model.loss(ROWS).dataSync()[0]!, model.forward(ROWS)];
    adapter.mergeAndUnload();
    expect(close(model.forward(ROWS), adapted)).toBeLessThan(1e-5);
    expect(Object.values(model.parameters()).every(({ trainable }) => trainable)).toBe(true);
    expect(model.loss(ROWS).dataSync()[0]).toBeCloseTo(base, 4);
    expect(() => adapter.restart(1)).toThrow('removed from its model');
  });

  test('A is uniform on ±1/√in, another one in each layer and for each seed, and B is 0', () => {
    const model = llama({}, { hidden_size: 64, head_dim: 16 });
    const values = (seed: number): Record<string, Float32Array> => {
      const adapter = new Lora(model, { r: 8, seed });
      const found = Object.entries(adapter.parameters()).map(([part, x]) => [part, x.dataSync().slice()] as const);
      adapter.unload();
      return Object.fromEntries(found) as Record<string, Float32Array>;
    };
    const first = values(1);
    for (const [part, x] of Object.entries(first)) {
      if (part.includes('lora_B')) expect(x.every(each => each === 0)).toBe(true);
      else {
        const bound = 1 / Math.sqrt(x.length / 8);
        expect(Math.max(...x)).toBeLessThanOrEqual(bound);
        expect(Math.max(...x)).toBeGreaterThan(0.9 * bound);
        expect(Math.min(...x)).toBeGreaterThanOrEqual(-bound);
        expect(Math.min(...x)).toBeLessThan(-0.9 * bound);
        // The deviation of the uniform distribution is bound / √3.
        const square = x.reduce((sum, each) => sum + each * each, 0) / x.length;
        expect(Math.sqrt(3 * square) / bound).toBeCloseTo(1, 1);
      }
    }
    const [query, key] = ['q', 'k'].map(each => `model.layers.0.self_attn.${each}_proj.lora_A.weight`) as [
      string,
      string,
    ];
    expect(first[query]!.subarray(0, 8)).not.toEqual(first[key]!.subarray(0, 8));
    expect(values(1)).toEqual(first);
    expect(values(2)[query]).not.toEqual(first[query]);
  });

  test('a restart keeps what the model computes, draws another A and sets B to 0', () => {
    const model = llama();
    const adapter = lora(model, { seed: 4 });
    fillB(adapter);
    const adapted = model.forward(ROWS);
    const values = () => Object.values(adapter.parameters()).map(part => Array.from(part.dataSync()));
    const first = values();
    adapter.restart(1);
    const second = values();
    expect(close(model.forward(ROWS), adapted)).toBeLessThan(1e-5);
    for (let i = 0; i < first.length; i += 2) {
      expect(second[i]).not.toEqual(first[i]);
      expect(second[i + 1]!.every(x => x === 0)).toBe(true);
    }
    adapter.restart(2);
    expect(values()).not.toEqual(second);
    adapter.restart(1);
    expect(values()).toEqual(second);
  });

  test('nothing stays behind', () => {
    const model = llama({ recompute: true });
    model.loss(ROWS).dispose();
    const { numTensors } = memory();
    const adapter = new Lora(model, { r: 2 });
    expect(memory().numTensors - numTensors).toBe(2 * model.linearLayers().length);
    const { value, grads } = variableGrads(() => model.loss(ROWS));
    dispose([value, ...Object.values(grads)]);
    adapter.restart(1);
    dispose(Object.keys(model.parameters()).map(name => adapter.merged(name)));
    expect(() => adapter.merged('lm_head')).toThrow('the name of a parameter of the model');
    expect(memory().numTensors - numTensors).toBe(2 * model.linearLayers().length);
    adapter.mergeAndUnload();
    adapter.unload();
    expect(memory().numTensors).toBe(numTensors);
    lora(model);
  });

  // I12: what LoRA learns with a fixed A of orthonormal rows and B = 0 at first is what GaLore learns in that subspace.
  test.each([
    ['sgd', () => sgd(), (scale: number) => scale * scale],
    ['adamW', () => adamW({ epsilon: 0 }), (scale: number) => scale],
  ] as const)('with a fixed orthonormal A it is GaLore with a fixed basis: %s', (_, rule, lrScale) => {
    const sizes = fc.tuple(
      fc.integer({ min: 2, max: 9 }),
      fc.integer({ min: 2, max: 9 }),
      fc.integer({ min: 1, max: 8 }),
    );
    fc.assert(
      fc.property(sizes, fc.integer({ min: 0, max: 999 }), fc.constantFrom(0.25, 0.5, 1, 2), (sizes, seed, scale) => {
        const [rows, columns] = sizes;
        const r = Math.min(sizes[2], columns);
        const basis = orthonormalRows(r, columns, seed);
        const x = numbers([6, columns], seed + 1);

        const adapted = new LinearModel(rows, columns, seed);
        const adapter = new Lora(adapted, { r, loraAlpha: scale * r });
        const [a, b] = Object.values(adapter.parameters());
        tidy(() => a!.assign(basis));
        const onB = compose({ learningRate: 0.003, groups: [{ use: rule() }] });
        for (let i = 0; i < 5; i++) onB.minimize(() => adapted.loss(x), false, [b!]);
        const found = adapter.merged('block.proj.weight');
        adapter.unload();
        onB.dispose();

        const projected = tidy(() => transpose(basis).arraySync() as number[][]);
        const use = subspace({ projector: given({ kind: 'right', basis: () => projected }), rule: rule() });
        const galore = compose({ learningRate: 0.003, groups: [{ use, lrScale: lrScale(adapter.scale) }] });
        for (let i = 0; i < 5; i++) galore.minimize(() => adapted.loss(x), false, [adapted.weight]);
        expect(close(adapted.weight, found)).toBeLessThan(1e-4);
        dispose([basis, x, found]);
        galore.dispose();
        adapted.dispose();
      }),
      { numRuns: 20, seed: 12, endOnFailure: true },
    );
  });
});

describe('memory', () => {
  beforeAll(async () => void (await setBackend('wasm')));
  // Two tokens: what a step holds is weights and their gradients. No two dimensions are the same.
  const wide = { vocab_size: 900, hidden_size: 128, intermediate_size: 300, num_key_value_heads: 2, head_dim: 20 };
  const rows = [[1, 2, 3]];

  test('nothing of the size of a frozen matrix is made', async () => {
    const model = llama({}, wide);
    const shapes = new Set(
      Object.values(model.parameters()).flatMap(({ shape }) => (shape.length === 2 ? [`${shape}`] : [])),
    );
    const step = () => {
      const { value, grads } = variableGrads(() => model.loss(rows));
      dispose([value, ...Object.values(grads)]);
    };
    const made = async (): Promise<string[]> => {
      const { kernels } = await profile(step);
      // The tape's own handle of what it keeps; the data is that of the weight.
      const others = kernels.filter(({ name }) => name !== 'Identity');
      return others.flatMap(({ outputShapes }) => outputShapes.map(String)).filter(shape => shapes.has(shape));
    };
    expect(new Set(await made())).toEqual(shapes);
    lora(model, { r: 4 });
    expect(await made()).toEqual([]);
  });

  test('a step holds no gradients of the weights', () => {
    const model = llama({}, wide);
    const meter = new HeapMeter(backend());
    onTestFinished(() => meter.stop());
    const peak = (): number => {
      const run = () => {
        const { value, grads } = variableGrads(() => model.loss(rows));
        value.dataSync();
        dispose([value, ...Object.values(grads)]);
      };
      run();
      const before = meter.live;
      meter.restart();
      run();
      return meter.peak - before;
    };
    const full = peak();
    const adapter = lora(model, { r: 4 });
    const size = (parts: readonly { readonly size: number }[]): number =>
      parts.reduce((sum, part) => sum + 4 * part.size, 0);
    const weights = size(Object.values(model.parameters()));
    const parts = size(Object.values(adapter.parameters()));
    const narrow = peak();
    console.log(`peak of a step: ${full} bytes in full, ${narrow} with LoRA; weights ${weights}, A and B ${parts}`);
    expect(full).toBeGreaterThan(weights);
    expect(narrow).toBeLessThan(0.25 * full);
  });

  test('shapes are known before anything is made', () => {
    const model = llama();
    const matrices = model.linearLayers().map(name => ({ name, shape: model.parameters()[name]!.shape }));
    const options = { r: 3, targetModules: 'down_proj' };
    const parts = Object.entries(lora(model, options).parameters());
    expect(loraShapes(matrices, options)).toEqual(parts.map(([name, { shape }]) => ({ name, shape })));
  });
});

describe('refused', () => {
  beforeAll(async () => void (await setBackend('cpu')));

  test.each([
    [{ r: 0 }, 'lora.r: expected an integer of at least 1, found 0'],
    [{ rank: 4 }, 'rank'],
    [{ loraAlpha: 0 }, 'lora.loraAlpha: expected a number in (0, Infinity)'],
    [{ loraDropout: 0.1 }, 'lora.loraDropout: expected 0: dropout is not supported, found 0.1'],
    [{ targetModules: ['q_proj', 'v_prj'] }, 'Did you mean v_proj?'],
    [{ targetModules: 'lm_head' }, 'lora.targetModules: expected linear layers that can be adapted'],
    [{ targetModules: [] }, 'lora.targetModules'],
  ])('%j', (options, message) => {
    const model = llama();
    expect(() => new Lora(model, options as LoraOptions)).toThrow(message);
    expect(Object.values(model.parameters()).every(({ trainable }) => trainable)).toBe(true);
  });

  test('a second adapter on one model', () => {
    const model = llama();
    lora(model, { targetModules: 'q_proj' });
    expect(() => new Lora(model)).toThrow('which has an adapter');
    // Unloading one of two would make the weights under the other trainable.
    expect(() => new Lora(model, { targetModules: 'v_proj' })).toThrow(
      'model: expected a model without adapters, found one that has an adapter on other layers',
    );
  });
});
