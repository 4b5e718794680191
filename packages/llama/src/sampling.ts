import { ArgumentError } from './errors.js';

/** How the next token is chosen from its logits. */
export interface SamplingOptions {
  /** Divides the logits; 0 takes the most likely token (default 1). */
  readonly temperature?: number;
  /** Only the `topK` most likely tokens (default: all). */
  readonly topK?: number;
  /** Only the smallest set of most likely tokens whose probabilities reach `topP` (default 1; Holtzman et al. 2020). */
  readonly topP?: number;
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
