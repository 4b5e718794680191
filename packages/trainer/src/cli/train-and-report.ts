import type { SavedCheckpoint } from '@frugaljs/checkpoint';
import { readWeights } from '@frugaljs/checkpoint/node';
import type { ComposedOptimizer } from '@frugaljs/composer';
import { huggingFaceConfig, type LlamaConfig, LlamaForCausalLM, parameterCount } from '@frugaljs/llama';
import { tokenizerFiles } from '@frugaljs/llama/node';
import { selectBackend } from '../backend.js';
import type { JsonObject } from '../comparison/method.js';
import { type DurableResult, trainDurably } from '../durable/train-durably.js';
import type { Progress } from '../terminal/progress.js';
import type { Streams } from '../terminal/streams.js';
import { announceRun } from './announce-run.js';
import type { EventLog } from './event-log.js';
import { EXIT } from './failure.js';
import type { Interruption } from './interruption.js';
import { explained, memoryWarning } from './memory-trouble.js';
import { type OpenedData, openData } from './open-data.js';
import { writeJson } from './output-file.js';
import { modelOf } from './run-model.js';
import type { RunStore } from './run-store.js';
import { conclusion, summary } from './run-summary.js';
import { sampleTexts } from './sample-text.js';
import { textFingerprint } from './text-fingerprint.js';
import { TrainingDisplay } from './training-display.js';
import { rememberedOptions, type TrainingRequest } from './training-request.js';

/** What a run is made of by the time that it starts. */
export interface RunParts {
  readonly request: TrainingRequest;
  /** The recipe and its options. */
  readonly name: string;
  readonly options: JsonObject;
  readonly optimizer: ComposedOptimizer;
  readonly store: RunStore;
  /** The checkpoint to go on from. */
  readonly saved: SavedCheckpoint | null;
  readonly log: EventLog;
  readonly progress: Progress;
  readonly interruption: Interruption;
  readonly jsonFile: string | null;
}

/**
 * Opens the text, builds the model, trains it and says what came of it.
 *
 * @returns The exit code.
 * @throws What went wrong, as what it means; how to go on from the last checkpoint is said by then.
 */
export async function trainAndReport(parts: RunParts, stdout: Streams['stdout']): Promise<number> {
  const { request, optimizer, progress, store, interruption, jsonFile } = parts;
  const { batch, length, recompute = false, backend } = request;
  await selectBackend(backend);
  const opened = await openData({ ...request, log: line => progress.print(line) });
  const config = await modelOf(request, parts.saved, opened.tokenizer.vocabSize, length);
  const planned = { config, batch, length, recompute };
  const warning = memoryWarning(planned, optimizer, backend);
  if (warning !== null) progress.print(warning);

  let model: LlamaForCausalLM | null = null;
  try {
    model = await initialModel(request, config, parts.saved !== null);
    const settings = settingsOf(parts, opened, config, model);
    const result = await trainModel(parts, opened, config, model, settings);
    progress.clear();
    stdout.write(`${conclusion(result, request.steps, settings.stateBytes)}\n${store.conclusion(result)}`);
    const samples = await sampleTexts(model, opened.tokenizer, {
      count: result.interrupted ? 0 : request.sample,
      prompt: request.prompt,
      length: request.sampleLength,
      seed: request.seed,
      signal: interruption.signal,
    });
    for (const [i, sample] of samples.entries()) {
      stdout.write(`\n── sample ${i + 1} of ${samples.length} ──\n${sample}\n`);
    }
    if (jsonFile !== null) await writeJson(jsonFile, { ...settings, ...summary(result), samples });
    return result.interrupted ? interruption.exitCode() : EXIT.ok;
  } catch (error) {
    throw explained(error, planned, optimizer, backend);
  } finally {
    model?.dispose();
  }
}

/** Weights are read before the model is built, which takes time: what is wrong with them should show at once. */
async function initialModel(
  { seed, recompute = false, weights: path }: TrainingRequest,
  config: LlamaConfig,
  goesOn: boolean,
): Promise<LlamaForCausalLM> {
  // A run that goes on has the weights of its checkpoint.
  const weights = path === undefined || goesOn ? null : await readWeights(path);
  const model = new LlamaForCausalLM(config, { seed, recompute });
  try {
    if (weights !== null) model.loadWeights(weights);
    return model;
  } catch (error) {
    model.dispose();
    throw error;
  }
}

/** What `--log` and `--json` say about a run. */
function settingsOf(
  { request, name, options, optimizer }: RunParts,
  { tokenizer, name: data }: OpenedData,
  config: LlamaConfig,
  model: LlamaForCausalLM,
) {
  const { steps, batch, length, accumulate, recompute = false, seed, backend } = request;
  return {
    optimizer: name,
    options,
    learningRate: optimizer.toJSON()['learningRate'],
    stateBytes: optimizer.memoryReport(model.parameters()).totalStateBytes,
    parameters: parameterCount(config).total,
    config,
    ...{ steps, batch, length, accumulate, recompute, seed, backend, tokenizer: tokenizer.kind, data },
  };
}

async function trainModel(
  parts: RunParts,
  opened: OpenedData,
  config: LlamaConfig,
  model: LlamaForCausalLM,
  settings: ReturnType<typeof settingsOf>,
): Promise<DurableResult> {
  const { request, name, optimizer, store, saved, log, progress, interruption } = parts;
  const { steps, batch, length, accumulate, seed, evalEvery, saveEvery, rollback, maxRollbacks } = request;
  const { dataset, tokenizer } = opened;
  log.write('settings', settings);
  if (saved !== null) log.write('resume', { step: saved.step, checkpoint: saved.name });
  announceRun(progress, request, { recipe: name, stateBytes: settings.stateBytes, config, opened, resumed: saved });

  const display = new TrainingDisplay(progress, name, steps, batch * length * accumulate);
  let hasBegun = false;
  try {
    const result = await trainDurably({
      ...{ model, optimizer, data: dataset, steps, accumulate, signal: interruption.signal },
      ...(evalEvery === undefined ? {} : { evaluateEvery: evalEvery }),
      ...{ checkpoints: store.checkpoints, saves: store.saves, saveEvery, config: huggingFaceConfig(config) },
      files: await tokenizerFiles(request.tokenizer),
      identity: { text: textFingerprint(dataset), tokenizer: tokenizer.kind, batch, length, accumulate, seed },
      settings: rememberedOptions(request),
      ...{ resume: saved, partial: request.resumePartial ?? false },
      rollback: rollback === undefined ? null : { deviations: rollback, limit: maxRollbacks },
      onNotice: line => progress.print(line),
      onRollback: made => log.write('rollback', made),
      onStep: step => {
        hasBegun = true;
        log.write('step', step);
        display.step(step);
      },
      onEvaluation: evaluation => {
        log.write('evaluation', evaluation);
        display.evaluation(evaluation);
      },
    });
    const { validationLoss, interrupted, checkpoint } = result;
    log.write('end', { steps: result.steps, interrupted, validationLoss, checkpoint });
    return result;
  } catch (error) {
    const rescue = hasBegun ? await store.rescue() : null;
    if (rescue !== null) progress.print(rescue);
    throw error;
  }
}
