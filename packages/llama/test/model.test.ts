import '@tensorflow/tfjs-layers';
import '@tensorflow/tfjs-backend-cpu';
import '@tensorflow/tfjs-backend-wasm';
import {
  add,
  concat,
  dispose,
  engine,
  logSoftmax,
  memory,
  mul,
  reshape,
  setBackend,
  slice,
  type Tensor,
  tensor,
  tensor2d,
  tidy,
  train,
  type Variable,
  variableGrads,
} from '@tensorflow/tfjs-core';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  ArgumentError,
  LlamaForCausalLM,
  type LlamaOptions,
  llamaConfig,
  parameterSpecs,
  WeightsError,
} from '../src/index.js';
import { randomKey, randomNormals } from '../src/random.js';
import { ROWS, TINY } from './tiny-model.js';

function numbers(t: Tensor): Float32Array {
  const values = t.dataSync() as Float32Array;
  t.dispose();
  return Float32Array.from(values);
}

describe.each(['cpu', 'wasm'])('LlamaForCausalLM on %s', backend => {
  let tensorsBefore: number;
  const alive: LlamaForCausalLM[] = [];
  const build = (change: object = {}, options: LlamaOptions = {}): LlamaForCausalLM => {
    const model = new LlamaForCausalLM({ ...TINY, ...change }, { namePrefix: `m${alive.length}/`, ...options });
    alive.push(model);
    return model;
  };

  beforeEach(async () => {
    await setBackend(backend);
    tensorsBefore = memory().numTensors;
  });

  afterEach(() => {
    for (const model of alive.splice(0)) model.dispose();
    expect(memory().numTensors).toBe(tensorsBefore);
  });

  it('has the parameters its configuration promises, initialized as Hugging Face does', () => {
    const model = build({}, { namePrefix: '' });
    const specs = parameterSpecs(model.config);
    const parameters = model.parameters();
    expect(Object.keys(parameters)).toEqual(specs.map(({ name }) => name));
    for (const { name, shape, kind } of specs) {
      const weight = parameters[name]!;
      expect(weight.shape).toEqual(shape);
      expect(weight.name).toBe(name);
      expect(weight.trainable).toBe(true);
      const values = weight.dataSync() as Float32Array;
      if (kind === 'norm') expect([...values].every(x => x === 1)).toBe(true);
      else expect(Math.sqrt(values.reduce((s, x) => s + x * x, 0) / values.length)).toBeCloseTo(0.3, 1);
    }
    expect(parameters).toHaveProperty(['model.layers.1.self_attn.k_proj.weight']);
  });

  it('starts from weights that depend on the seed and the name alone', () => {
    const first = numbers(build({}, { seed: 3 }).forward(ROWS));
    expect(numbers(build({}, { seed: 3 }).forward(ROWS))).toEqual(first);
    expect(numbers(build({}, { seed: 4 }).forward(ROWS))).not.toEqual(first);
    const name = 'model.layers.0.mlp.up_proj.weight';
    const deeper = build({ num_hidden_layers: 3 }, { seed: 3 }).parameters()[name]!;
    expect(deeper.dataSync()).toEqual(build({}, { seed: 3 }).parameters()[name]!.dataSync());
  });

  it('predicts each token from the ones before it only', () => {
    const model = build();
    const before = numbers(model.forward(ROWS));
    const changed = ROWS.map(row => row.map((id, i) => (i === 4 ? (id + 1) % 11 : id)));
    const after = numbers(model.forward(changed));
    for (let row = 0; row < 2; row++) {
      for (let position = 0; position < 7; position++) {
        const at = (row * 7 + position) * 11;
        const same = before.subarray(at, at + 11).every((x, i) => Math.abs(x - after[at + i]!) < 1e-5);
        expect(same).toBe(position < 4);
      }
    }
  });

  it('depends on the order of tokens', () => {
    const model = build();
    const last = (rows: number[][]): Float32Array => numbers(model.logitsAt(rows, 2));
    const difference = last([[1, 2, 3]]).map((x, i) => Math.abs(x - last([[2, 1, 3]])[i]!));
    expect(Math.max(...difference)).toBeGreaterThan(1e-2);
  });

  it('gives at one position what forward gives there', () => {
    const model = build();
    const all = numbers(model.forward(ROWS));
    const some = numbers(model.logitsAt(ROWS, 3));
    for (let row = 0; row < 2; row++) {
      for (let i = 0; i < 11; i++) expect(some[row * 11 + i]).toBeCloseTo(all[(row * 7 + 3) * 11 + i]!, 5);
    }
  });

  it('has a loss that is the mean negative log-likelihood of forward', () => {
    const model = build();
    const logits = model.forward(ROWS.map(row => row.slice(0, -1)));
    const logProbabilities = logSoftmax(logits);
    const table = numbers(logProbabilities);
    logits.dispose();
    let total = 0;
    for (let row = 0; row < 2; row++) {
      for (let i = 0; i < 6; i++) total -= table[(row * 6 + i) * 11 + ROWS[row]![i + 1]!]!;
    }
    const whole = numbers(model.loss(ROWS))[0]!;
    expect(whole).toBeCloseTo(total / 12, 5);
    expect(
      numbers(
        model.loss(
          ROWS.map(r => r.slice(0, -1)),
          ROWS.map(r => r.slice(1)),
        ),
      )[0],
    ).toBe(whole);
  });

  it('takes host batches, nested arrays and tensors alike', () => {
    const model = build();
    const whole = numbers(model.loss(ROWS))[0]!;
    expect(numbers(model.loss({ data: Int32Array.from(ROWS.flat()), shape: [2, 7] }))[0]).toBe(whole);
    const ids = tensor2d(ROWS.flat(), [2, 7], 'int32');
    expect(numbers(model.loss(ids))[0]).toBe(whole);
    expect(ids.isDisposed).toBe(false);
    ids.dispose();
  });

  it('has the same loss and gradients when the logits are made in chunks', () => {
    const [whole, chunked] = [build(), build({}, { maxLogits: 50 })].map(model => gradients(model, ROWS));
    expect(chunked!.loss).toBeCloseTo(whole!.loss, 5);
    for (const [name, values] of Object.entries(whole!.byName)) {
      const other = chunked!.byName[name]!;
      for (let i = 0; i < values.length; i++) expect(other[i]).toBeCloseTo(values[i]!, 5);
    }
  });

  it.each([
    ['untied head', {}],
    ['tied head', { tie_word_embeddings: true }],
  ])('has gradients that predict the change of the loss along a direction: %s', (_, change) => {
    const model = build(change);
    const { byName } = gradients(model, ROWS);
    for (const { name } of parameterSpecs(model.config)) {
      const gradient = byName[name]!;
      const noise = randomNormals(randomKey(1, name), gradient.length, 1);
      // Along the gradient the change is well above rounding; the random part looks at the other entries too.
      const [along, across] = [norm(gradient), norm(noise)];
      const direction = gradient.map((g, i) => 0.02 * (g / along + noise[i]! / across));
      const predicted = gradient.reduce((total, g, i) => total + g * direction[i]!, 0);
      const weight = model.parameters()[name]!;
      const lossAt = (step: number): number => withShift(weight, direction, step, () => numbers(model.loss(ROWS))[0]!);
      // Fourth-order central difference.
      const measured = (8 * (lossAt(1) - lossAt(-1)) - (lossAt(2) - lossAt(-2))) / 12;
      expect(along).toBeGreaterThan(1e-3);
      expect(Math.abs(measured - predicted)).toBeLessThan(1e-6 + 3e-3 * Math.abs(predicted));
    }
  });

  it('uses the embedding as the head when they are tied', () => {
    const tied = build({ tie_word_embeddings: true });
    const untied = build();
    expect(tied.parameters()).not.toHaveProperty(['lm_head.weight']);
    const weights: Record<string, Tensor> = { ...tied.parameters() };
    weights['lm_head.weight'] = weights['model.embed_tokens.weight']!;
    untied.loadWeights(weights);
    expect(numbers(untied.forward(ROWS))).toEqual(numbers(tied.forward(ROWS)));
    // The tied gradient is the sum of what the two uses contribute.
    const both = gradients(untied, ROWS).byName;
    const one = gradients(tied, ROWS).byName['model.embed_tokens.weight']!;
    const [embedding, head] = [both['model.embed_tokens.weight']!, both['lm_head.weight']!];
    for (let i = 0; i < one.length; i++) expect(one[i]).toBeCloseTo(embedding[i]! + head[i]!, 5);
  });

  it('with grouped queries equals full attention whose key and value heads are repeated', () => {
    const grouped = build();
    const full = build({ num_key_value_heads: 4 });
    const weights: Record<string, Tensor> = { ...grouped.parameters() };
    const repeated: Tensor[] = [];
    for (const name of Object.keys(weights).filter(n => /[kv]_proj/.test(n))) {
      const wide = tidy(() => {
        const heads = reshape(weights[name]!, [2, 4, 16]);
        const [a, b] = [0, 1].map(head => slice(heads, [head, 0, 0], [1, -1, -1])) as [Tensor, Tensor];
        return reshape(concat([a, a, b, b]), [16, 16]);
      });
      weights[name] = wide;
      repeated.push(wide);
    }
    full.loadWeights(weights);
    dispose(repeated);
    const expected = numbers(grouped.forward(ROWS));
    const actual = numbers(full.forward(ROWS));
    for (let i = 0; i < expected.length; i++) expect(actual[i]).toBeCloseTo(expected[i]!, 4);
  });

  it('accepts a head dimension of its own', () => {
    const model = build({ head_dim: 6 });
    expect(model.parameters()['model.layers.0.self_attn.o_proj.weight']!.shape).toEqual([16, 24]);
    expect(Number.isFinite(numbers(model.loss(ROWS))[0])).toBe(true);
  });

  it('learns a sequence by heart', () => {
    const model = build({ initializer_range: 0.1 });
    const optimizer = train.adam(0.02);
    const losses: number[] = [];
    for (let step = 0; step < 40; step++) {
      const loss = optimizer.minimize(() => model.loss(ROWS), true, Object.values(model.parameters()))!;
      losses.push(numbers(loss)[0]!);
    }
    optimizer.dispose();
    expect(losses[0]!).toBeGreaterThan(1.9);
    expect(losses.at(-1)!).toBeLessThan(0.3);
  });

  it('leaks nothing but the tables it keeps for a sequence length', () => {
    const model = build();
    numbers(model.loss(ROWS));
    const before = memory().numTensors;
    for (let i = 0; i < 3; i++) gradients(model, ROWS);
    numbers(model.loss(ROWS));
    expect(memory().numTensors).toBe(before);
  });

  it('keeps its tables when the first call is inside a tidy', () => {
    const model = build();
    tidy(() => {
      model.loss(ROWS);
    });
    expect(Number.isFinite(numbers(model.loss(ROWS))[0])).toBe(true);
  });
});

describe('errors of LlamaForCausalLM', () => {
  it('refuses an adapter where no linear layer is, or where there is one', () => {
    const model = new LlamaForCausalLM(TINY, { namePrefix: 'adapted/' });
    const adapter = { variables: [], forward: () => tensor2d([[0]]) };
    expect(model.linearLayers()).toHaveLength(14);
    expect(() => model.adaptLinear('lm_head.weight', adapter)).toThrow('expected one of linearLayers()');
    const [name] = model.linearLayers() as [string];
    model.adaptLinear(name, adapter);
    expect(() => model.adaptLinear(name, adapter)).toThrow('Merge or remove the other adapter first');
    model.adaptLinear(name, null);
    model.adaptLinear(name, adapter);
    model.dispose();
  });

  let model: LlamaForCausalLM;
  beforeEach(async () => {
    await setBackend('cpu');
    model = new LlamaForCausalLM(TINY);
  });
  afterEach(() => model.dispose());

  it('refuses a second model of the same names, and frees the names with the model', () => {
    const before = memory().numTensors;
    expect(() => new LlamaForCausalLM(TINY)).toThrow(/namePrefix.*model.embed_tokens.weight/);
    expect(memory().numTensors).toBe(before);
    const other = new LlamaForCausalLM(TINY, { namePrefix: 'other/' });
    expect(Object.keys(other.parameters())).toEqual(Object.keys(model.parameters()));
    expect(engine().registeredVariables['other/lm_head.weight']).toBe(other.parameters()['lm_head.weight']);
    other.dispose();
    expect(engine().registeredVariables['other/lm_head.weight']).toBeUndefined();
  });

  it.each([
    ['an id outside the vocabulary', [[1, 11]], /tokens\[0\]\[1\].*vocab_size = 11, found 11/],
    [
      'a negative id',
      [
        [1, 2],
        [-1, 2],
      ],
      /tokens\[1\]\[0\].*found -1/,
    ],
    ['uneven rows', [[1, 2], [1]], /tokens\[1\].*expected 2 ids.*found "1 ids"/],
    ['no tokens', [[]], /tokens.*found "0 ids/],
    ['one token only', [[1]], /two tokens or more/],
    ['a sequence that is too long', [Array(18).fill(1)], /max_position_embeddings = 16/],
  ])('refuses %s', (_, rows, message) => {
    const before = memory().numTensors;
    expect(() => model.loss(rows as number[][])).toThrow(message as RegExp);
    expect(() => model.loss(rows as number[][])).toThrow(ArgumentError);
    expect(memory().numTensors).toBe(before);
  });

  it('refuses tensors that are not int32 [batch, length]', () => {
    const floats = tensor([[1, 2]]);
    expect(() => model.loss(floats as never)).toThrow(/int32 tensor \[batch, length\], found "float32 \[1,2\]"/);
    floats.dispose();
  });

  it('refuses targets of another shape, positions and options out of range', () => {
    expect(() => model.loss([[1, 2]], [[1]])).toThrow(/targets.*expected \[1,2\]/);
    expect(() => model.logitsAt([[1, 2]], 2)).toThrow(/position.*below 2/);
    expect(() => new LlamaForCausalLM(TINY, { namePrefix: 'x/', seed: 0.5 })).toThrow(/seed/);
    expect(() => new LlamaForCausalLM(TINY, { namePrefix: 'x/', maxLogits: 0 })).toThrow(/maxLogits/);
  });

  it('lists everything that is wrong with weights and changes nothing', () => {
    const weights: Record<string, { shape: number[]; data: Float32Array }> = {};
    for (const { name, shape } of parameterSpecs(llamaConfig(TINY))) {
      weights[name] = { shape: [...shape], data: new Float32Array(shape.reduce((a, b) => a * b, 1)) };
    }
    const before = model.parameters()['lm_head.weight']!.dataSync();
    weights['model.norm.weight'] = { shape: [15], data: new Float32Array(15) };
    weights['model.embed_tokens.weight']!.data = new Float32Array(3);
    weights['model.layers.0.input_layernorm.weight'] = new Float32Array(16) as never;
    weights['model.layers.0.bias'] = { shape: [1], data: new Float32Array(1) };
    weights['model.layers.0.self_attn.rotary_emb.inv_freq'] = { shape: [2], data: new Float32Array(2) };
    delete weights['lm_head.weight'];
    const load = (): void => model.loadWeights(weights);
    expect(load).toThrow(WeightsError);
    expect(load).toThrow(/lm_head.weight is missing/);
    expect(load).toThrow(/input_layernorm.weight has no shape, which a tensor or { shape, data } has/);
    expect(load).toThrow(/model.norm.weight has shape \[15\], not \[16\]/);
    expect(load).toThrow(/model.layers.0.bias is not part/);
    expect(load).toThrow(/model.embed_tokens.weight has 3 numbers/);
    expect(load).not.toThrow(/inv_freq/);
    expect(model.parameters()['lm_head.weight']!.dataSync()).toEqual(before);
  });
});

function gradients(
  model: LlamaForCausalLM,
  rows: readonly (readonly number[])[],
): { loss: number; byName: Record<string, Float32Array> } {
  const { value, grads } = variableGrads(() => model.loss(rows), Object.values(model.parameters()));
  const byName: Record<string, Float32Array> = {};
  for (const [name, weight] of Object.entries(model.parameters())) byName[name] = numbers(grads[weight.name]!);
  return { loss: numbers(value)[0]!, byName };
}

function norm(values: Float32Array): number {
  return Math.sqrt(values.reduce((total, x) => total + x * x, 0));
}

function withShift(weight: Variable, direction: Float32Array, step: number, measure: () => number): number {
  const original = weight.clone();
  const shifted = tidy(() => add(original, mul(tensor(direction, weight.shape), step)));
  weight.assign(shifted);
  const measured = measure();
  weight.assign(original);
  dispose([original, shifted]);
  return measured;
}
