import { type LlamaConfig, llamaConfig } from './config.js';
import { FormatError } from './errors.js';
import { EMBEDDING, FINAL_NORM, HEAD, type HostTensor, layerName, sizeOf } from './parameters.js';

const HEADER_INTEGERS = 7;

/**
 * Reads a llama2.c checkpoint (version 0: seven int32, then float32 tensors grouped by kind) into a configuration and
 * weights under Hugging Face names, ready for `loadWeights`.
 *
 * llama2.c turns neighboring channels `(2i, 2i+1)` of a head, Hugging Face channels `(i, i + headDim/2)`. Permuting the
 * rows of the query and key matrices makes one the other; attention scores are sums over channels and do not notice.
 *
 * @param bytes The file, little-endian. The tensors are copies.
 * @throws FormatError if the header makes no model or the length is not the one it asks for.
 */
export function readLlama2c(bytes: Uint8Array): { config: LlamaConfig; weights: Record<string, HostTensor> } {
  const { config, tied } = readHeader(bytes);
  const d = config.hidden_size;
  const f = config.intermediate_size;
  const layers = config.num_hidden_layers;
  const keys = config.num_key_value_heads * config.head_dim;
  const tables = config.max_position_embeddings * (config.head_dim / 2) * 2;
  const perLayer = 2 * d + 2 * d * d + 2 * keys * d + 3 * f * d;
  const numbers = config.vocab_size * d * (tied ? 1 : 2) + layers * perLayer + d + tables;
  if (bytes.byteLength !== 4 * (HEADER_INTEGERS + numbers)) {
    throw new FormatError({
      parameter: 'llama2.c checkpoint',
      found: `${bytes.byteLength} bytes`,
      expected: `${4 * (HEADER_INTEGERS + numbers)} bytes for the sizes in its header`,
      advice: 'The file is cut off, or not a version 0 export.',
    });
  }

  // Through the buffer, because `slice` of a Node Buffer is a view and float32 needs an aligned copy.
  const start = bytes.byteOffset + 4 * HEADER_INTEGERS;
  const all = new Float32Array(bytes.buffer.slice(start, start + 4 * numbers));
  const weights: Record<string, HostTensor> = {};
  let at = 0;
  const take = (name: string, shape: readonly number[]): HostTensor => {
    const size = sizeOf(shape);
    const taken = { shape, data: all.slice(at, at + size) };
    at += size;
    weights[name] = taken;
    return taken;
  };
  const takeLayers = (part: string, shape: readonly number[], heads?: number): void => {
    for (let layer = 0; layer < layers; layer++) {
      const { data } = take(layerName(layer, part), shape);
      if (heads !== undefined) pairHalves(data, heads, config.head_dim, d);
    }
  };
  take(EMBEDDING, [config.vocab_size, d]);
  takeLayers('input_layernorm', [d]);
  takeLayers('self_attn.q_proj', [d, d], config.num_attention_heads);
  takeLayers('self_attn.k_proj', [keys, d], config.num_key_value_heads);
  takeLayers('self_attn.v_proj', [keys, d]);
  takeLayers('self_attn.o_proj', [d, d]);
  takeLayers('post_attention_layernorm', [d]);
  takeLayers('mlp.gate_proj', [f, d]);
  takeLayers('mlp.down_proj', [d, f]);
  takeLayers('mlp.up_proj', [f, d]);
  take(FINAL_NORM, [d]);
  at += tables;
  if (!tied) take(HEAD, [config.vocab_size, d]);
  return { config, weights };
}

function readHeader(bytes: Uint8Array): { config: LlamaConfig; tied: boolean } {
  if (bytes.byteLength < 4 * HEADER_INTEGERS) {
    throw new FormatError({
      parameter: 'llama2.c checkpoint',
      found: `${bytes.byteLength} bytes`,
      expected: `a header of ${4 * HEADER_INTEGERS} bytes`,
    });
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const header = Array.from({ length: HEADER_INTEGERS }, (_, i) => view.getInt32(4 * i, true));
  const [dim, hidden, layers, heads, keyValueHeads, vocabulary, length] = header;
  // A negative vocabulary size says that the head has weights of its own.
  const tied = vocabulary! > 0;
  try {
    const config = llamaConfig({
      vocab_size: Math.abs(vocabulary!),
      hidden_size: dim,
      intermediate_size: hidden,
      num_hidden_layers: layers,
      num_attention_heads: heads,
      num_key_value_heads: keyValueHeads,
      max_position_embeddings: length,
      rms_norm_eps: 1e-5,
      tie_word_embeddings: tied,
    });
    return { config, tied };
  } catch (error) {
    throw new FormatError({
      parameter: 'llama2.c checkpoint',
      found: header,
      expected: `a version 0 header (${(error as Error).message})`,
    });
  }
}

/** Within each head moves row `2i` to `i` and row `2i+1` to `i + headDim/2`, in place. */
function pairHalves(matrix: Float32Array, heads: number, headDim: number, width: number): void {
  const source = matrix.slice();
  const half = headDim / 2;
  for (let row = 0; row < heads * headDim; row++) {
    const head = Math.floor(row / headDim);
    const channel = row % headDim;
    const target = head * headDim + (channel >> 1) + (channel % 2 === 0 ? 0 : half);
    matrix.set(source.subarray(row * width, (row + 1) * width), target * width);
  }
}
