import type { LlamaConfig } from './config.js';

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
    const size = shape.reduce((product, extent) => product * extent, 1);
    count[kind] += size;
    count.total += size;
  }
  return count;
}
