import { ArgumentError } from './errors.js';
import type { LlamaForCausalLM } from './model.js';
import { randomKey, randomUniform } from './random.js';

/** How the next token is chosen from its logits. */
export interface SamplingOptions {
  /** Divides the logits; 0 takes the most likely token (default 1). */
  readonly temperature?: number;
  /** Only the `topK` most likely tokens (default: all). */
  readonly topK?: number;
  /** Only the smallest set of most likely tokens whose probabilities reach `topP` (default 1; Holtzman et al. 2020). */
  readonly topP?: number;
}

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

/** @throws ArgumentError naming the option that is outside its domain. */
export function checkSampling({ temperature = 1, topK, topP = 1 }: SamplingOptions): void {
  if (!(temperature >= 0 && Number.isFinite(temperature))) {
    throw new ArgumentError({
      parameter: 'temperature',
      found: temperature,
      expected: 'a finite number of at least 0',
    });
  }
  if (topK !== undefined && !(Number.isInteger(topK) && topK >= 1)) {
    throw new ArgumentError({ parameter: 'topK', found: topK, expected: 'a positive integer' });
  }
  if (!(topP > 0 && topP <= 1)) {
    throw new ArgumentError({ parameter: 'topP', found: topP, expected: 'a number above 0 and at most 1' });
  }
}

/**
 * Draws a token.
 *
 * @param logits One number per token.
 * @param uniform A random number on [0, 1): the draw is a function of it.
 */
export function sampleToken(logits: Float32Array, options: SamplingOptions, uniform: number): number {
  const { temperature = 1, topK = logits.length, topP = 1 } = options;
  const all = Array.from(logits.keys());
  if (temperature === 0) return all.reduce((best, id) => (logits[id]! > logits[best]! ? id : best), 0);

  // Ties are broken by id, so the order is the same on every engine.
  const candidates = all.sort((a, b) => logits[b]! - logits[a]! || a - b).slice(0, topK);
  const largest = logits[candidates[0]!]!;
  const weights = candidates.map(id => Math.exp((logits[id]! - largest) / temperature));
  const total = weights.reduce((sum, weight) => sum + weight, 0);

  let kept = 0;
  let keptWeight = 0;
  while (kept < weights.length && keptWeight < topP * total) keptWeight += weights[kept++]!;

  let remaining = uniform * keptWeight;
  for (let i = 0; i < kept; i++) {
    remaining -= weights[i]!;
    if (remaining < 0) return candidates[i]!;
  }
  return candidates[kept - 1]!;
}
