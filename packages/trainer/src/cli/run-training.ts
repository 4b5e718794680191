import { freemem } from 'node:os';
import { crc32 } from 'node:zlib';
import { CheckpointHeldError, type SavedCheckpoint } from '@frugaljs/checkpoint';
import { readWeights } from '@frugaljs/checkpoint/node';
import { type ComposedOptimizer, recipe } from '@frugaljs/composer';
import { FrugalError, InvalidOptionError, type Json, OutOfMemoryError } from '@frugaljs/core';
import {
  generate,
  huggingFaceConfig,
  type LlamaConfig,
  LlamaForCausalLM,
  parameterCount,
  type TokenDataset,
  type Tokenizer,
} from '@frugaljs/llama';
import { tokenizerFiles } from '@frugaljs/llama/node';
import { deviceTensorBytes, selectBackend } from '../backend.js';
import { type JsonObject, optimizerOf, parseOption, recipeName } from '../comparison/method.js';
import { savedRunState } from '../durable/resume.js';
import { type DurableResult, trainDurably } from '../durable/train-durably.js';
import { explainFailure } from '../errors.js';
import { type LlamaModel, memoryOf, obstacles } from '../memory/memory-of.js';
import { limitsOf, outOfMemoryAdvice, type Room } from '../memory/plan.js';
import { Progress, type Streams } from '../terminal/output.js';
import { trainingSchedule } from '../training/schedule.js';
import {
  type AdaptedRun,
  adapt,
  adaptedRequest,
  adaptedSchedule,
  adapterIdentity,
  loraOptions,
  saveAdapted,
  saveAveraged,
} from './adapted-run.js';
import { explainedMismatch, openCheckpoints, type RunCheckpoints, RunStore } from './checkpoints.js';
import { EXIT, type Interruption, watchInterrupts } from './exit.js';
import { modelOf, type OpenedData, openData, requireRoomForWeights, withOwnTokenizer } from './open-inputs.js';
import { EventLog, requireAllWritable, writeJson } from './output-file.js';
import { rememberedOptions, resumedRequest, type TrainingRequest } from './train-command.js';
import { announceRun, conclusion, summary, TrainingDisplay } from './training-display.js';

/**
 * Trains as the command line asks for: progress goes to standard error, the result to standard output.
 *
 * @param given Names of the options that were given on the command line: over what a checkpoint remembers.
 * @returns The exit code.
 */
export async function runTraining(
  asked: TrainingRequest,
  given: ReadonlySet<string>,
  streams: Streams,
): Promise<number> {
  const progress = new Progress(streams.stderr);
  const notice = (line: string): void => progress.print(line);
  const opened = await openCheckpoints(asked, notice);
  try {
    return await runFrom(opened, asked, given, progress, streams.stdout);
  } finally {
    await opened.lease?.release();
  }
}

async function runFrom(
  opened: RunCheckpoints,
  asked: TrainingRequest,
  given: ReadonlySet<string>,
  progress: Progress,
  stdout: Streams['stdout'],
): Promise<number> {
  const notice = (line: string): void => progress.print(line);
  const { saved } = opened;
  const remembered = saved === null ? null : await savedRunState(saved);
  const restored = resumedRequest(withOwnTokenizer(asked, given), given, remembered?.settings ?? null);
  const request = adaptedRequest(restored, given, remembered && { hadAdapters: hasAdapters(remembered.settings) });
  const name = recipeName(request.optimizer);
  const options = recipeOptions(name, request);
  const optimizer = optimizerFor(name, options, request);
  const { json: jsonFile, log: logFile } = await requireAllWritable({ json: request.json, log: request.log });
  const store = new RunStore(request, opened, notice);
  await store.prepare();
  const log = new EventLog(logFile, notice, saved !== null);
  const saving = store.saves === 'never' ? '' : ', then saving';
  const interruption = watchInterrupts(notice, `Stopping after this step${saving}`);
  const parts: RunParts = { request, name, options, optimizer, store, saved, log, progress, interruption, jsonFile };
  try {
    return await trainAndReport(parts, stdout);
  } catch (error) {
    if (saved === null) throw error;
    const namesRate = ['schedule', 'lr', 'warmup', 'warmupStart'].some(option => given.has(option));
    throw explainedMismatch(error, { saved, composition: optimizer.toJSON(), steps: request.steps, namesRate });
  } finally {
    progress.clear();
    interruption.release();
    log.close();
    optimizer.dispose();
    await store.release();
  }
}

/**
 * Options for a recipe, without learning rate and seed. A flag that the recipe has no use for is passed on all the same,
 * so that the recipe can say so.
 */
function recipeOptions(name: string, request: TrainingRequest): JsonObject {
  const { density, projector, updateGap, weightDecay, clip, nonFinite, accumulate, set = [] } = request;
  const options: { [key: string]: Json | undefined } = {
    density,
    projector,
    [name === 'badam' ? 'switchEvery' : 'updateGap']: updateGap,
    weightDecay,
    clip: clip === undefined ? undefined : { globalNorm: clip },
    onNonFinite: nonFinite,
    accumulate: accumulate === 1 ? undefined : accumulate,
    ...Object.fromEntries(set.map(text => parseOption(text, 'set'))),
  };
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined));
}

/** The optimizer of a run: a recipe with its options, and a schedule fitted to the length of the run. */
function optimizerFor(name: string, options: JsonObject, request: TrainingRequest): ComposedOptimizer {
  const { steps, schedule: shape, warmup, warmupStart, seed } = request;
  const peak = request.lr ?? recipe(name, options).learningRate;
  const schedule = trainingSchedule({ peak, steps, shape, warmupStart, ...(warmup === undefined ? {} : { warmup }) });
  return optimizerOf({ recipe: name, options }, adaptedSchedule(request, schedule), seed);
}

/** @param settings As a checkpoint remembers them. */
function hasAdapters(settings: Json): boolean {
  return typeof settings === 'object' && settings !== null && ('lora' in settings || 'relora' in settings);
}

/** What a run is made of by the time that it starts. */
interface RunParts {
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
async function trainAndReport(parts: RunParts, stdout: Streams['stdout']): Promise<number> {
  const { request, optimizer, progress, store, interruption, jsonFile } = parts;
  const { batch, length, recompute = false, backend } = request;
  await selectBackend(backend);
  const opened = await openData({ ...request, log: line => progress.print(line) });
  const config = await modelOf(request, parts.saved, opened.tokenizer.vocabSize, length);
  // Weights are read before the model is built, which takes time: what is wrong with them should show at once. A run that
  // goes on has those of its checkpoint.
  const { weights: path } = request;
  const weights = path === undefined || parts.saved !== null ? null : await readWeights(path);
  requireRoomForWeights(config, backend);
  const lora = loraOptions(request);
  const planned = { config, batch, length, recompute, ...(lora !== null && { lora }) };
  const warning = memoryWarning(planned, optimizer, backend);
  if (warning !== null) progress.print(warning);

  let model: LlamaForCausalLM | null = null;
  let adapted: AdaptedRun | null = null;
  try {
    model = initialModel(request, config, weights);
    adapted = adapt(request, model, optimizer);
    const settings = settingsOf(parts, opened, config, model, adapted);
    const result = await trainModel(parts, opened, config, model, adapted, settings);
    progress.clear();
    stdout.write(`${conclusion(result, request.steps, settings.stateBytes)}\n${store.whereabouts(result)}`);
    // What is published and tried is what was evaluated.
    const trained = model;
    const samples = await optimizer.withAveragedWeights(async () => {
      if (result.interrupted) return [];
      if (store.folder !== null) {
        const texts = {
          'config.json': `${JSON.stringify(huggingFaceConfig(config), null, 2)}\n`,
          ...(await tokenizerFiles(request.tokenizer)),
        };
        if (adapted !== null) stdout.write(`${await saveAdapted(store.folder, adapted, path, texts)}\n`);
        else if (optimizer.keepsAverages) stdout.write(`${await saveAveraged(store.folder, trained, texts)}\n`);
      }
      return await sampleTexts(trained, opened.tokenizer, request, interruption.signal);
    });
    for (const [i, sample] of samples.entries()) {
      stdout.write(`\n── sample ${i + 1} of ${samples.length} ──\n${sample}\n`);
    }
    if (jsonFile !== null) await writeJson(jsonFile, { ...settings, ...summary(result), samples });
    return result.interrupted ? interruption.exitCode() : EXIT.ok;
  } catch (error) {
    throw withMemoryAdvice(error, planned, optimizer, backend);
  } finally {
    adapted?.lora.unload();
    model?.dispose();
  }
}

function initialModel(
  { seed, recompute = false }: TrainingRequest,
  config: LlamaConfig,
  weights: Awaited<ReturnType<typeof readWeights>> | null,
): LlamaForCausalLM {
  const adapter = Object.keys(weights ?? {}).find(name => /\.lora_[AB]\.weight$/.test(name));
  if (adapter !== undefined) {
    throw new InvalidOptionError({
      parameter: 'weights',
      found: `a checkpoint of a run with adapters (${adapter})`,
      expected: 'weights of a model',
      advice: 'Take the folder `merged` beside it, which the end of that run writes; or go on with it by --resume.',
    });
  }
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
  adapted: AdaptedRun | null,
) {
  const { steps, batch, length, accumulate, recompute = false, seed, backend } = request;
  return {
    optimizer: name,
    options,
    learningRate: optimizer.toJSON()['learningRate'],
    stateBytes: optimizer.memoryReport((adapted?.lora ?? model).parameters()).totalStateBytes,
    parameters: parameterCount(config).total,
    config,
    ...{ steps, batch, length, accumulate, recompute, seed, backend, tokenizer: tokenizer.kind, data },
    ...(adapted !== null && { adapter: adapterIdentity(adapted, request) }),
  };
}

async function trainModel(
  parts: RunParts,
  opened: OpenedData,
  config: LlamaConfig,
  model: LlamaForCausalLM,
  adapted: AdaptedRun | null,
  settings: ReturnType<typeof settingsOf>,
): Promise<DurableResult> {
  const { request, name, optimizer, store, saved, log, progress, interruption } = parts;
  const { steps, batch, length, accumulate, seed, evalEvery, saveEvery, rollback, maxRollbacks } = request;
  const { dataset, tokenizer } = opened;
  log.write('settings', settings);
  if (saved !== null) log.write('resume', { step: saved.step, checkpoint: saved.name });
  const { stateBytes } = settings;
  const lora = adapted?.lora ?? null;
  announceRun(progress, request, { recipe: name, stateBytes, config, opened, resumed: saved, lora });

  const display = new TrainingDisplay(progress, name, steps, batch * length * accumulate);
  let hasBegun = false;
  try {
    const result = await trainDurably({
      ...{
        model:
          adapted === null
            ? model
            : { parameters: adapted.parameters, loss: (batch: Parameters<typeof model.loss>[0]) => model.loss(batch) },
      },
      ...(adapted?.beforeUpdate && { beforeUpdate: adapted.beforeUpdate }),
      ...{ optimizer, data: dataset, steps, accumulate, signal: interruption.signal },
      ...(evalEvery === undefined ? {} : { evaluateEvery: evalEvery }),
      ...{ checkpoints: store.checkpoints, saves: store.saves, saveEvery, config: huggingFaceConfig(config) },
      files: await tokenizerFiles(request.tokenizer),
      identity: {
        ...{ text: textFingerprint(dataset), tokenizer: tokenizer.kind, batch, length, accumulate, seed },
        ...(adapted !== null && { adapter: adapterIdentity(adapted, request) }),
      },
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
    // What is in a folder that another run has by now is that run's to go on from.
    const rescue = hasBegun && !(error instanceof CheckpointHeldError) ? await store.rescue() : null;
    if (rescue !== null) progress.print(rescue);
    throw error;
  }
}

/** A number that tells one text from another: the CRC-32 of its training tokens. */
function textFingerprint({ train }: Pick<TokenDataset, 'train'>): string {
  const { buffer, byteOffset, byteLength } = train;
  return crc32(new Uint8Array(buffer, byteOffset, byteLength))
    .toString(16)
    .padStart(8, '0');
}

/** A line about a run that the planner expects not to fit; null if it should fit. */
function memoryWarning(model: LlamaModel, optimizer: ComposedOptimizer, backend: string): string | null {
  const limits = limitsOf(roomOf(backend));
  const reasons = obstacles(memoryOf(model, optimizer, limits), limits);
  if (reasons.length === 0) return null;
  return `Memory     may run out: ${reasons.join(', and ')}; \`frugal memory\` says what fits`;
}

/** An error of a run as what it means; one about memory says what would fit. */
function withMemoryAdvice(error: unknown, model: LlamaModel, optimizer: ComposedOptimizer, backend: string): unknown {
  const meaning = explainFailure(error);
  if (!(meaning instanceof FrugalError) || meaning.code !== 'out-of-memory') return meaning;
  // What this process holds and what is free is what it could have had.
  const isHost = meaning instanceof OutOfMemoryError && meaning.kind === 'host';
  const room = isHost ? { budget: freemem() + process.memoryUsage().rss } : {};
  const lines = outOfMemoryAdvice(model, optimizer, { ...roomOf(backend), ...room });
  meaning.message = [meaning.message, ...lines.map(line => `  ${line}`)].join('\n');
  return meaning;
}

function roomOf(backend: string): Room {
  const maxTensorBytes = deviceTensorBytes();
  return maxTensorBytes === null ? { backend } : { backend, maxTensorBytes };
}

/** Texts by the model, each with the prompt in front. Fewer than asked for, and the last cut off, if aborted. */
async function sampleTexts(
  model: LlamaForCausalLM,
  tokenizer: Tokenizer,
  { sample: count, prompt = '', sampleLength: length, seed }: TrainingRequest,
  signal: AbortSignal,
): Promise<string[]> {
  const start = tokenizer.separator === null ? Array.from(tokenizer.encode('\n')) : [tokenizer.separator];
  const tokens = [...start, ...Array.from(tokenizer.encode(prompt))];
  const texts: string[] = [];
  for (let i = 0; i < count && !signal.aborted; i++) {
    const added = await generate(model, tokens, {
      maxNewTokens: length,
      seed: seed + i,
      temperature: 0.8,
      topK: 40,
      signal,
      ...(tokenizer.separator === null ? {} : { stopToken: tokenizer.separator }),
    });
    texts.push(prompt + tokenizer.decode(added));
  }
  return texts;
}
