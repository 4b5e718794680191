import { NonFiniteGradientError, requireInteger } from '@frugaljs/core';
import { type LlamaConfig, LlamaForCausalLM, parameterCount, preset, type TokenDataset } from '@frugaljs/llama';
import { getBackend } from '@tensorflow/tfjs-core';
import { trainingSchedule } from '../training/schedule.js';
import { type Step, trainingSteps } from '../training/steps.js';
import { evaluate, RunRecord, VALIDATION_BATCHES, withAverages } from '../training/train.js';
import { type Method, optimizerOf } from './method.js';
import type { Comparison, ComparisonSettings, RunResult, RunStatus } from './result.js';

export interface CompareOptions {
  readonly config: LlamaConfig;
  readonly data: TokenDataset;
  readonly methods: readonly Method[];
  /** Updates of every run. */
  readonly steps: number;
  /** Seed of the weights and of the optimizers' random subspaces. Default 0. */
  readonly seed?: number;
  /** Validation batches of an evaluation, at most. Default 32. */
  readonly validationBatches?: number;
  /** What the data and the tokenizer are called in the result. */
  readonly dataName?: string;
  readonly tokenizer?: string;
  /** Ends the comparison after the step that is under way. */
  readonly signal?: AbortSignal;
  readonly onStep?: (method: Method, step: Step) => void;
  readonly onRunEnd?: (run: RunResult) => void;
}

/**
 * Trains the same model on the same batches from the same initial weights with each of the methods in turn.
 *
 * A method that diverges is reported as such and does not end the comparison.
 */
export async function compare(options: CompareOptions): Promise<Comparison> {
  const { methods, signal } = options;
  requireInteger('compare.steps', options.steps, 1);
  requireInteger('compare.validationBatches', options.validationBatches ?? VALIDATION_BATCHES, 1);
  const runs: RunResult[] = [];
  for (const method of methods) {
    if (signal?.aborted) break;
    const run = await runMethod(method, options);
    runs.push(run);
    options.onRunEnd?.(run);
  }
  const interrupted = runs.length < methods.length || runs.some(({ status }) => status === 'interrupted');
  return { runs, settings: settingsOf(options), interrupted };
}

async function runMethod(method: Method, options: CompareOptions): Promise<RunResult> {
  const { config, data, steps, seed = 0, validationBatches = VALIDATION_BATCHES, signal } = options;
  const optimizer = optimizerOf(method, trainingSchedule({ peak: method.learningRate, steps }), seed);
  const model = new LlamaForCausalLM(config, { seed });
  const record = new RunRecord();
  let status: RunStatus = 'finished';
  let validationLoss: number | null = null;
  let stateBytes: number;
  try {
    for await (const step of trainingSteps({ model, optimizer, data, steps, signal })) {
      record.add(step);
      options.onStep?.(method, step);
    }
    if (record.losses.length === steps) {
      validationLoss = await withAverages(optimizer, () =>
        evaluate(model, data.validationBatches(validationBatches), signal),
      );
    }
    if (validationLoss === null) status = 'interrupted';
    else if (!Number.isFinite(validationLoss)) status = 'diverged';
  } catch (error) {
    if (!(error instanceof NonFiniteGradientError)) throw error;
    status = 'diverged';
  } finally {
    // Subspaces of unequal size make the state vary a little from one to the next; this is what it is at the end.
    const update = Math.max(0, record.losses.length - 1);
    stateBytes = optimizer.memoryReport(model.parameters(), { update }).totalStateBytes;
    optimizer.dispose();
    model.dispose();
  }
  const loss = status === 'finished' ? validationLoss : null;
  return {
    optimizer: method.label,
    recipe: method.recipe,
    options: method.options,
    learningRate: method.learningRate,
    status,
    steps: record.losses.length,
    validationLoss: loss,
    perplexity: loss === null ? null : Math.exp(loss),
    stateBytes,
    msPerOptimizerStep: record.optimizerStep.mean,
    msPerStep: record.step.mean,
    medianMsPerOptimizerStep: record.optimizerStep.median,
    medianMsPerStep: record.step.median,
    losses: record.losses,
  };
}

function settingsOf(options: CompareOptions): ComparisonSettings {
  const { config, data, steps, seed = 0, validationBatches = VALIDATION_BATCHES } = options;
  const evaluated = data.validationBatches(validationBatches);
  return {
    steps,
    batch: data.batchSize,
    length: data.sequenceLength,
    seed,
    backend: getBackend(),
    config: { ...config },
    parameters: parameterCount(config).total,
    tokenizer: options.tokenizer ?? 'bytes',
    data: {
      name: options.dataName ?? 'tokens',
      trainTokens: data.train.length,
      validationTokens: data.validation.length,
    },
    evaluatedTokens: evaluated.reduce((sum, { shape: [rows, length] }) => sum + rows * (length - 1), 0),
    schedule: 'linear warm-up over a tenth of the run, then half a cosine down to a tenth of the peak',
  };
}

/**
 * The model of the default comparison: four layers, so that a quarter of them (BAdam's blocks) is one, and as wide as
 * three minutes allow.
 */
export function comparisonModel(vocabulary: number): LlamaConfig {
  return preset('llama_tiny', {
    vocab_size: vocabulary,
    hidden_size: 96,
    intermediate_size: 256,
    num_hidden_layers: 4,
  });
}
