import { type Tensor, tensor, type Variable } from '@tensorflow/tfjs-core';
import type { LlamaConfig } from './config.js';
import { WeightsError } from './errors.js';
import { randomKey, randomNormals } from './random.js';

/** What a parameter does in the model: optimizers treat the kinds differently. */
export type ParameterKind = 'embedding' | 'linear' | 'norm' | 'head';

/** Name, shape and kind of a parameter. Matrices are `(out, in)`. */
export interface ParameterSpec {
  readonly name: string;
  readonly shape: readonly number[];
  readonly kind: ParameterKind;
}

export const EMBEDDING = 'model.embed_tokens.weight';
export const FINAL_NORM = 'model.norm.weight';
export const HEAD = 'lm_head.weight';

/** Hugging Face's name of a tensor of a layer: `layerName(0, 'self_attn.q_proj')` is `model.layers.0.self_attn.q_proj.weight`. */
export function layerName(layer: number, part: string): string {
  return `model.layers.${layer}.${part}.weight`;
}

/**
 * Every parameter of a model, in Hugging Face's order, from its configuration alone: nothing is allocated. A tied head
 * has no entry of its own.
 */
export function parameterSpecs(config: LlamaConfig): ParameterSpec[] {
  const { hidden_size: d, intermediate_size: f, vocab_size: v } = config;
  const queries = config.num_attention_heads * config.head_dim;
  const keys = config.num_key_value_heads * config.head_dim;
  const specs: ParameterSpec[] = [{ name: EMBEDDING, shape: [v, d], kind: 'embedding' }];
  const parts: [part: string, shape: readonly number[], kind: ParameterKind][] = [
    ['self_attn.q_proj', [queries, d], 'linear'],
    ['self_attn.k_proj', [keys, d], 'linear'],
    ['self_attn.v_proj', [keys, d], 'linear'],
    ['self_attn.o_proj', [d, queries], 'linear'],
    ['mlp.gate_proj', [f, d], 'linear'],
    ['mlp.up_proj', [f, d], 'linear'],
    ['mlp.down_proj', [d, f], 'linear'],
    ['input_layernorm', [d], 'norm'],
    ['post_attention_layernorm', [d], 'norm'],
  ];
  for (let layer = 0; layer < config.num_hidden_layers; layer++) {
    for (const [part, shape, kind] of parts) specs.push({ name: layerName(layer, part), shape, kind });
  }
  specs.push({ name: FINAL_NORM, shape: [d], kind: 'norm' });
  if (!config.tie_word_embeddings) specs.push({ name: HEAD, shape: [v, d], kind: 'head' });
  return specs;
}

/** Numbers in the parameters of a model: all of them, and by kind. */
export function parameterCount(config: LlamaConfig): Record<ParameterKind | 'total', number> {
  const count = { embedding: 0, linear: 0, norm: 0, head: 0, total: 0 };
  for (const { shape, kind } of parameterSpecs(config)) {
    const size = sizeOf(shape);
    count[kind] += size;
    count.total += size;
  }
  return count;
}

/**
 * Initial values of a parameter as Hugging Face's LLaMA starts: norms 1, matrices normal with mean 0 and standard
 * deviation `range`. They depend on the seed, the name and the shape alone.
 */
export function initialValues({ name, shape, kind }: ParameterSpec, seed: number, range: number): Float32Array {
  const size = sizeOf(shape);
  if (kind === 'norm') return new Float32Array(size).fill(1);
  return randomNormals(randomKey(seed, name), size, range);
}

/** Numbers on the host, row after row. */
export interface HostTensor {
  readonly shape: readonly number[];
  readonly data: Float32Array;
}

/** Problems that a message lists. */
const LONGEST_LIST = 20;

/** Tensors by Hugging Face name. */
export type WeightMap = Readonly<Record<string, HostTensor | Tensor>>;

/**
 * Assigns a complete set of weights to a model's variables, after checking all of them. Stored rotary tables
 * (`…rotary_emb.inv_freq`) are recomputed by the model and ignored, as is `lm_head.weight` when the head is tied.
 *
 * @throws WeightsError listing every missing, unknown and misshapen tensor.
 */
export function assignWeights(
  config: LlamaConfig,
  variables: Readonly<Record<string, Variable>>,
  weights: WeightMap,
): void {
  const specs = parameterSpecs(config);
  const problems: string[] = [];
  for (const { name, shape } of specs) {
    const found = weights[name];
    if (found === undefined) {
      problems.push(`${name} is missing`);
    } else if (!Array.isArray(found.shape)) {
      problems.push(`${name} has no shape, which a tensor or { shape, data } has`);
    } else if (`${found.shape}` !== `${shape}`) {
      problems.push(`${name} has shape [${found.shape}], not [${shape}]`);
    } else if (isHost(found) && found.data.length !== sizeOf(shape)) {
      problems.push(`${name} has ${found.data.length} numbers for shape [${shape}]`);
    } else if (!isHost(found) && found.dtype !== 'float32') {
      problems.push(`${name} is ${found.dtype}, not float32`);
    }
  }
  const known = new Set(specs.map(({ name }) => name));
  for (const name of Object.keys(weights)) {
    if (known.has(name) || name.endsWith('rotary_emb.inv_freq')) continue;
    if (name === HEAD && config.tie_word_embeddings) continue;
    problems.push(`${name} is not part of this model`);
  }
  if (problems.length > 0) {
    const more = problems.length - LONGEST_LIST;
    const listed = more > 0 ? [...problems.slice(0, LONGEST_LIST), `and ${more} more`] : problems;
    throw new WeightsError({
      parameter: 'weights',
      found: problems.length === 1 ? '1 problem' : `${problems.length} problems`,
      expected: `the ${specs.length} tensors of the configuration`,
      advice: `${listed.join('; ')}. Compare the configuration with the one the weights were saved with.`,
    });
  }
  for (const { name } of specs) {
    const found = weights[name]!;
    if (isHost(found)) {
      const value = tensor(found.data, found.shape as number[]);
      variables[name]!.assign(value);
      value.dispose();
    } else {
      variables[name]!.assign(found);
    }
  }
}

function isHost(weight: HostTensor | Tensor): weight is HostTensor {
  return weight.data instanceof Float32Array;
}

/** Numbers in a tensor. */
export function sizeOf(shape: readonly number[]): number {
  return shape.reduce((product, extent) => product * extent, 1);
}
