import { recipe } from '@frugaljs/composer';
import { LlamaForCausalLM, parameterCount } from '@frugaljs/llama';
import { selectBackend } from '../backend.js';
import { type JsonObject, optimizerOf } from '../comparison/method.js';
import { comparisonModel } from '../comparison/model.js';
import { formatPerplexity } from '../comparison/table.js';
import { recipeName } from '../recipe-name.js';
import { Progress } from '../terminal/progress.js';
import type { Streams } from '../terminal/streams.js';
import { formatBytes, formatCount, formatMilliseconds } from '../terminal/units.js';
import { type ScheduleName, trainingSchedule } from '../training/schedule.js';
import { smoothed } from '../training/smoothed-loss.js';
import { type TrainingResult, train } from '../training/train.js';
import { EventLog } from './event-log.js';
import { EXIT } from './failure.js';
import { watchInterrupts } from './interruption.js';
import { openConfig } from './open-config.js';
import { describeModel, openData } from './open-data.js';
import { requireWritable, writeJson } from './output-file.js';
import { type RecipeFlags, recipeOptions } from './recipe-options.js';
import { sampleTexts } from './sample-text.js';
import { TrainingDisplay } from './training-display.js';

/** What the command line of `frugal train` asks for. */
export interface TrainingRequest extends RecipeFlags {
  readonly optimizer: string;
  readonly lr?: number;
  readonly steps: number;
  readonly batch: number;
  readonly length: number;
  readonly warmup?: number;
  readonly schedule: ScheduleName;
  readonly seed: number;
  readonly backend: string;
  readonly config?: string;
  readonly data: string;
  readonly tokenizer: string;
  readonly offline?: boolean;
  readonly evalEvery?: number;
  readonly sample: number;
  readonly prompt?: string;
  readonly sampleLength: number;
  readonly log?: string;
  readonly json?: string;
}

const SPAN = 20;

/**
 * Trains as the command line asks for: progress goes to standard error, the result to standard output.
 *
 * @returns The exit code.
 */
export async function runTraining(request: TrainingRequest, { stdout, stderr }: Streams): Promise<number> {
  const { steps, batch, length, seed, accumulate } = request;
  const name = recipeName(request.optimizer);
  const options = recipeOptions(name, request);
  const optimizer = optimizerFor(name, options, request);
  const jsonFile = request.json === undefined ? null : requireWritable('json', request.json);
  const log = new EventLog(request.log === undefined ? null : requireWritable('log', request.log));
  const progress = new Progress(stderr);
  const { signal, release } = watchInterrupts(line => progress.print(line));
  let model: LlamaForCausalLM | null = null;
  try {
    await selectBackend(request.backend);
    const { dataset, tokenizer, name: text } = await openData({ ...request, log: line => progress.print(line) });
    const config =
      request.config === undefined
        ? comparisonModel(tokenizer.vocabSize)
        : await openConfig(request.config, tokenizer.vocabSize, length);
    model = new LlamaForCausalLM(config, { seed });
    const stateBytes = optimizer.memoryReport(model.parameters()).totalStateBytes;
    const parameters = parameterCount(config).total;
    const settings = {
      ...{ optimizer: name, options, learningRate: optimizer.toJSON()['learningRate'], stateBytes, parameters, config },
      ...{ steps, batch, length, accumulate, seed, backend: request.backend, tokenizer: tokenizer.kind, data: text },
    };
    log.write('settings', settings);
    progress.print(`Model      LLaMA, ${describeModel(config)}, ${formatCount(parameters)} weights, seed ${seed}`);
    progress.print(
      `Text       ${text} (${tokenizer.kind}), ${formatCount(dataset.train.length)} tokens to train on, ` +
        `${formatCount(dataset.validation.length)} held out`,
    );
    progress.print(`Optimizer  ${name}, ${formatBytes(stateBytes)} of state`);
    progress.print(
      `Run        ${formatCount(steps)} steps of ${formatCount(batch * length * accumulate)} tokens, backend ${request.backend}\n`,
    );

    const display = new TrainingDisplay(progress, name, steps, batch * length * accumulate);
    const result = await train({
      ...{ model, optimizer, data: dataset, steps, accumulate, signal },
      ...(request.evalEvery === undefined ? {} : { evaluateEvery: request.evalEvery }),
      onStep: step => {
        log.write('step', step);
        display.step(step);
      },
      onEvaluation: evaluation => {
        log.write('evaluation', evaluation);
        display.evaluation(evaluation);
      },
    });
    const { validationLoss, interrupted } = result;
    log.write('end', { steps: result.steps, interrupted, validationLoss });
    progress.clear();
    stdout.write(`${conclusion(result, steps, stateBytes)}\n`);

    const samples = await sampleTexts(model, tokenizer, {
      count: interrupted ? 0 : request.sample,
      prompt: request.prompt,
      length: request.sampleLength,
      seed,
      signal,
    });
    for (const [i, sample] of samples.entries()) {
      stdout.write(`\n── sample ${i + 1} of ${samples.length} ──\n${sample}\n`);
    }
    if (jsonFile !== null) writeJson(jsonFile, { ...settings, ...summary(result), samples });
    return interrupted ? EXIT.interrupted : EXIT.ok;
  } finally {
    progress.clear();
    release();
    log.close();
    optimizer.dispose();
    model?.dispose();
  }
}

function optimizerFor(name: string, options: JsonObject, request: TrainingRequest): ReturnType<typeof recipe> {
  const { steps, schedule: shape, warmup, seed } = request;
  const peak = request.lr ?? recipe(name, options).learningRate;
  const schedule = trainingSchedule({ peak, steps, shape, ...(warmup === undefined ? {} : { warmup }) });
  return optimizerOf({ label: name, recipe: name, options, learningRate: peak }, schedule, seed);
}

/** The numbers of a run, under the names that comparisons use. */
function summary(result: TrainingResult): object {
  const { steps, interrupted, losses, evaluations, validationLoss, step, optimizerStep } = result;
  return {
    updates: steps,
    interrupted,
    validationLoss,
    perplexity: validationLoss === null ? null : Math.exp(validationLoss),
    msPerOptimizerStep: optimizerStep.mean,
    msPerStep: step.mean,
    losses,
    evaluations,
  };
}

function conclusion(result: TrainingResult, steps: number, stateBytes: number): string {
  const { validationLoss, losses, step, optimizerStep } = result;
  const last = smoothed(losses, SPAN).at(-1);
  if (result.interrupted) {
    return `Stopped after step ${result.steps} of ${steps}${last === undefined ? '' : `, training loss ${last.toFixed(3)}`}.`;
  }
  const times = `${formatMilliseconds(step.mean)} ms per step, ${formatMilliseconds(optimizerStep.mean)} of them in the optimizer`;
  const perplexity = formatPerplexity(Math.exp(validationLoss!));
  return `Validation loss ${validationLoss!.toFixed(3)} (perplexity ${perplexity}), ${formatBytes(stateBytes)} of optimizer state, ${times}.`;
}
