import { ArgumentError } from './errors.js';
import type { LlamaForCausalLM } from './model.js';
import { randomKey, randomUniform } from './random.js';
import { checkSampling, type SamplingOptions, sampleToken } from './sampling.js';

export interface GenerateOptions extends SamplingOptions {
  /** Tokens to add (default 64). */
  readonly maxNewTokens?: number;
  /** Ends the text; not part of the result. */
  readonly stopToken?: number;
  /** Seed of the draws (default 0): same seed, same prompt, same text. */
  readonly seed?: number;
  /** Called with every new token. */
  readonly onToken?: (token: number) => void;
  /** Ends the text after the token under way. */
  readonly signal?: AbortSignal;
}

const SHORTEST_WINDOW = 16;

/**
 * Continues a prompt and returns the new tokens.
 *
 * Each step runs the model over the last `max_position_embeddings` tokens, padded on the right to a power of two:
 * under the causal mask what follows a position cannot change it, and the backend sees a handful of shapes rather than
 * one per step.
 *
 * @throws ArgumentError for an empty prompt or an option outside its domain.
 */
export async function generate(
  model: LlamaForCausalLM,
  prompt: ArrayLike<number>,
  options: GenerateOptions = {},
): Promise<number[]> {
  const { maxNewTokens = 64, stopToken, seed = 0, onToken, signal } = options;
  checkSampling(options);
  if (prompt.length === 0) {
    throw new ArgumentError({
      parameter: 'prompt',
      found: 'no tokens',
      expected: 'at least one token',
      advice: 'Start from the separator or begin token of the tokenizer.',
    });
  }
  const longest = model.config.max_position_embeddings;
  const key = randomKey(seed, 'generate');
  const tokens = Array.from(prompt);
  const first = tokens.length;
  while (tokens.length - first < maxNewTokens && !signal?.aborted) {
    const recent = tokens.slice(-longest);
    let window = SHORTEST_WINDOW;
    while (window < recent.length) window *= 2;
    const data = new Int32Array(Math.min(window, longest));
    data.set(recent);

    const logits = model.logitsAt({ data, shape: [1, data.length] }, recent.length - 1);
    const values = (await logits.data()) as Float32Array;
    logits.dispose();
    const token = sampleToken(values, options, randomUniform(key, tokens.length - first));
    if (token === stopToken) break;
    tokens.push(token);
    onToken?.(token);
  }
  return tokens.slice(first);
}
