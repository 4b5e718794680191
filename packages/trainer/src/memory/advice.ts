import { recipe } from '@frugaljs/composer';
import { parameterCount, preset, presetNames } from '@frugaljs/llama';
import type { BackendLimits } from '../backend.js';
import { formatBinaryBytes } from '../terminal/text.js';
import { fits, type LlamaModel, type MemoryEstimate, memoryOf, type PlannedModel, variablesOf } from './memory-of.js';
import type { Candidate } from './methods.js';

/** Whether a model fits with a candidate and, perhaps, more options of its recipe. */
type Within = (model: PlannedModel, candidate: Candidate, more?: { readonly accumulate: number }) => boolean;

/** What can be given up so that a run fits, or fits with more state. Each piece of advice has been worked out. */
export function adviceFor(
  model: PlannedModel,
  choice: Candidate | null,
  candidates: readonly Candidate[],
  limits: BackendLimits,
): string[] {
  const best = candidates[0]!;
  if (choice === best) return [];
  const within: Within = (each, { recipe: name, options }, more) =>
    fits(memoryOf(each, recipe(name, { ...options, ...more }), limits), limits);
  if (choice !== null) {
    const wanted = 'config' in model ? smallerBatch(model, best, within) : null;
    return [
      ...recomputeAdvice(model, choice, candidates, within),
      ...(wanted === null ? [] : [`${best.label} fits with ${wanted}.`]),
    ];
  }

  const least = candidates.reduce((a, b) => (b.memory.peakBytes < a.memory.peakBytes ? b : a));
  const advice: string[] = [];
  const { largestTensor, peakBytes } = least.memory;
  if (limits.tensorBytes !== null && largestTensor.bytes > limits.tensorBytes) {
    advice.push(
      tensorAdvice(
        largestTensor,
        variablesOf(model).some(({ name }) => name === largestTensor.name),
      ),
    );
  }
  if (limits.totalBytes === null || peakBytes <= limits.totalBytes) return advice;
  advice.push(...recomputeAdvice(model, choice, candidates, within));
  const smaller = 'config' in model ? smallerBatch(model, least, within) : null;
  if (smaller !== null) advice.push(`${least.label} fits with ${smaller}.`);
  const frozen = 'config' in model && model.frozen === undefined ? { ...model, frozen: /embed_tokens|lm_head/ } : null;
  if (frozen !== null && within(frozen, least)) {
    advice.push(
      `${least.label} fits if embedding and output layer are frozen (trainable = false), which saves their gradients.`,
    );
  }
  advice.push(`As it is, ${least.label} needs ${formatBinaryBytes(peakBytes)}.`);
  if (!limits.isBudget)
    advice.push('The backends cpu, webgpu and tensorflow have no such limit on all tensors together.');
  if (smaller === null && 'config' in model) {
    const preset = largestPreset(model, each => within(each, least));
    if (preset !== null) advice.push(`The largest preset that fits, with a batch of one row, is ${preset}.`);
  }
  return advice;
}

/** Costs time, and neither a result nor a smaller batch. */
function recomputeAdvice(
  model: PlannedModel,
  choice: Candidate | null,
  candidates: readonly Candidate[],
  within: Within,
): string[] {
  if (!('config' in model) || model.recompute === true) return [];
  const better = choice === null ? candidates : candidates.slice(0, candidates.indexOf(choice));
  const first = better.find(each => within({ ...model, recompute: true }, each));
  if (first === undefined) return [];
  return [`${first.label} fits with --recompute: each layer is computed a second time, for the same updates.`];
}

/** The largest batch that fits, failing that the longest rows of a batch of one; null if that is none or no smaller. */
function smallerBatch(model: LlamaModel, candidate: Candidate, within: Within): string | null {
  const batch = largest(model.batch, count => within({ ...model, batch: count }, candidate));
  if (batch === model.batch) return null;
  if (batch > 0) {
    // Gradients summed over several batches need a place of their own.
    const accumulated = { ...model, batch: divisor(model.batch, batch) };
    const accumulate = model.batch / accumulated.batch;
    const same = within(accumulated, candidate, { accumulate });
    const smaller = `--batch ${batch} instead of ${model.batch}`;
    return same
      ? `${smaller}, or with --batch ${accumulated.batch} --accumulate ${accumulate} for the same updates`
      : smaller;
  }
  const length = largest(model.length, count => within({ ...model, batch: 1, length: count }, candidate));
  return length === 0 ? null : `--batch 1 --length ${length} instead of ${model.batch} × ${model.length}`;
}

/** The largest divisor of a number that is at most `limit`. */
function divisor(of: number, limit: number): number {
  let candidate = limit;
  while (of % candidate !== 0) candidate--;
  return candidate;
}

/** The largest number from 1 to `most` that passes a test which all smaller ones pass too; 0 if there is none. */
function largest(most: number, passes: (count: number) => boolean): number {
  let [low, high] = [0, most];
  while (low < high) {
    const middle = Math.ceil((low + high) / 2);
    if (passes(middle)) low = middle;
    else high = middle - 1;
  }
  return low;
}

function largestPreset(model: LlamaModel, within: (model: LlamaModel) => boolean): string | null {
  const size = parameterCount(model.config).total;
  const { vocab_size } = model.config;
  for (const name of [...presetNames].reverse()) {
    const config = preset(name, { vocab_size, max_position_embeddings: model.config.max_position_embeddings });
    if (parameterCount(config).total < size && within({ ...model, config, batch: 1 })) return name;
  }
  return null;
}

function tensorAdvice({ name }: MemoryEstimate['largestTensor'], isParameter: boolean): string {
  if (!isParameter) return `The ${name} shrink with --batch and --length.`;
  return `Adapters often offer more for one tensor than WebGPU's default: say how much with --max-tensor. Otherwise ${name} needs a smaller vocabulary or width.`;
}
