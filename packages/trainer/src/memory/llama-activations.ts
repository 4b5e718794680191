import type { NamedShape } from '@frugaljs/composer';
import { requireInteger } from '@frugaljs/core';
import type { LlamaConfig } from '@frugaljs/llama';

/** What a training step works on. */
export interface Workload {
  /** Rows of a batch (B). */
  readonly batch: number;
  /** Tokens of a row (L). */
  readonly length: number;
  /** Most logits in memory at once, as in `LlamaOptions`. Default 2²². */
  readonly maxLogits?: number;
  /** Whether layers are computed again in the backward pass, as in `LlamaOptions`. Default false. */
  readonly recompute?: boolean;
}

/** What a model holds in a training step besides parameters and their gradients, in bytes. */
export interface StepMemory {
  /** Kept between steps: position tables and the attention mask. */
  readonly tableBytes: number;
  /** At the fullest moment of the forward pass, when there are no gradients of parameters yet. */
  readonly forwardBytes: number;
  /** At the fullest moment of the backward pass, over and above the gradients of all parameters. */
  readonly backwardBytes: number;
  /** The largest of these tensors. */
  readonly largest: { readonly name: string; readonly bytes: number };
}

const MAX_LOGITS = 2 ** 22;

/**
 * The activations of `LlamaForCausalLM.loss` and its gradients, derived from the operations of the model and from what
 * the tape of tfjs keeps for each; nothing is built.
 *
 * With N = B·L tokens, d the width, f the width of the MLP, q and k the widths of queries and keys over all heads (both
 * d unless heads are grouped), and s = B·heads·L² attention scores, a layer takes, in numbers of four bytes:
 *
 *     kept by the forward pass    N (6d + 3q + 4k + 3f + 2) + s
 *     left by the backward pass   N (9d + 5q + 5k + 3f)
 *
 * tfjs frees neither before the last gradient is done: both grow with the number of layers. To these come the output
 * layer, which works on chunks of C rows of the vocabulary V with 4CV + 6Cd + 3Vd numbers (5Vd from the second chunk
 * on), and the temporaries of whichever operation has the most of them.
 *
 * Adapters of rank r add 2 N r numbers to the first and N (in + 2r) to the second for each matrix that has one.
 *
 * Tensors that share their data count once, where `tf.memory()` counts each: its peak is higher than what is allocated.
 * With frozen parameters it is an upper bound. The formula is compared with what a built model allocates in the tests of this package.
 */
export function llamaStepMemory(
  config: LlamaConfig,
  { batch, length, maxLogits = MAX_LOGITS, recompute = false }: Workload,
  frozen?: RegExp,
  adapters: readonly NamedShape[] = [],
): StepMemory {
  requireInteger('batch', batch, 1);
  requireInteger('length', length, 1);
  requireInteger('maxLogits', maxLogits, 1);
  const { hidden_size: d, intermediate_size: f, vocab_size: v, num_hidden_layers: layers, head_dim } = config;
  const q = config.num_attention_heads * head_dim;
  const k = config.num_key_value_heads * head_dim;
  const n = batch * length;
  const scores = batch * config.num_attention_heads * length * length;

  const adapted = widestLayer(adapters);
  const keptByLayer = n * (6 * d + 3 * q + 4 * k + 3 * f + 2 + 2 * adapted.ranks) + scores;
  const leftByLayer = n * (9 * d + 5 * q + 5 * k + 3 * f + adapted.inputs + 2 * adapted.ranks);
  const kept = layers * (recompute ? n * d : keptByLayer) + n * (d + 1) + batch * (length + 1) + 2 * n;
  // In the first layer, whose backward pass comes last, and behind it.
  const left = recompute ? keptByLayer + leftByLayer + (layers - 1) * n * d : layers * leftByLayer;
  const behind = recompute ? layers * n * d : left;

  const chunk = Math.max(1, Math.min(n, Math.floor(maxLogits / v)));
  const several = chunk < n;
  // Of a frozen output layer there is no gradient, which the forward pass makes with its temporaries.
  const headIsFrozen =
    frozen?.test(config.tie_word_embeddings ? 'model.embed_tokens.weight' : 'lm_head.weight') ?? false;
  const headGradient = headIsFrozen ? 0 : v * d;
  const forward = kept + (several ? 2 : 1) * n * d + 4 * chunk * v + 6 * chunk * d + (several ? 5 : 3) * headGradient;

  // The head's gradients exist twice: as the forward pass made them, and times the gradient of the loss.
  const head = 3 * n * d + headGradient;
  // Moments of the backward pass through the first layer, which comes last: what is not there yet, and temporaries.
  // With frozen parameters some of these gradients never come: then none is counted on.
  const pending = frozen === undefined ? 1 : 0;
  const toCome = {
    embedding: pending * v * d,
    norms: pending * 2 * d,
    qkv: pending * d * (q + 2 * k),
    output: pending * d * q,
    gateUp: pending * 2 * d * f,
  };
  const moments = [
    // SwiGLU
    left +
      6 * n * f -
      n * (9 * d + 5 * q + 5 * k) -
      (toCome.embedding + toCome.norms + toCome.qkv + toCome.output + toCome.gateUp),
    // attention
    left +
      4 * scores +
      scores / length -
      n * (5 * d + 2 * q + 3 * k) -
      (toCome.embedding + toCome.qkv + toCome.norms / 2),
    // the first normalization
    left + n * (5 * d + 1) - toCome.embedding,
    // the embedding; a tied head's gradient is added to it
    behind + (config.tie_word_embeddings ? 2 * headGradient : 0),
  ];

  const sizes: [name: string, numbers: number][] = [
    ['logits of a chunk', chunk * v],
    ['attention scores', scores],
    ['MLP activations', n * f],
    ['hidden states', n * Math.max(d, q)],
  ];
  const [name, numbers] = sizes.reduce((most, each) => (each[1] > most[1] ? each : most));
  return {
    tableBytes: 4 * (4 * length * head_dim + length * length),
    forwardBytes: 4 * forward,
    backwardBytes: 4 * (kept + head + Math.max(...moments)),
    largest: { name, bytes: 4 * numbers },
  };
}

/** Of the layer with the most adapters: their ranks and the widths of what they multiply, added up. */
function widestLayer(adapters: readonly NamedShape[]): { readonly ranks: number; readonly inputs: number } {
  const layers = new Map<string, { ranks: number; inputs: number }>();
  for (const { name, shape } of adapters) {
    if (!name.endsWith('.lora_A.weight')) continue;
    const [layer] = /layers\.\d+\./.exec(name) ?? [''];
    const { ranks, inputs } = layers.get(layer) ?? { ranks: 0, inputs: 0 };
    layers.set(layer, { ranks: ranks + shape[0]!, inputs: inputs + shape[1]! });
  }
  const none = { ranks: 0, inputs: 0 };
  return [...layers.values()].reduce((most, each) => (each.inputs > most.inputs ? each : most), none);
}
