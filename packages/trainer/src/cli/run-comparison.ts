import { type LlamaConfig, parameterCount } from '@frugaljs/llama';
import { selectBackend } from '../backend.js';
import { affordableSteps } from '../comparison/affordable-steps.js';
import { againstWasm } from '../comparison/against-wasm.js';
import { compare } from '../comparison/compare.js';
import { COMPARISON_DEFAULTS } from '../comparison/defaults.js';
import { type MethodSpec, parseMethods } from '../comparison/method.js';
import { comparisonModel } from '../comparison/model.js';
import type { Comparison, RunResult } from '../comparison/result.js';
import { tunedMethod } from '../comparison/tuning.js';
import { Progress, type ProgressOutput } from '../terminal/progress.js';
import { formatBytes, formatCount, formatDuration } from '../terminal/units.js';
import { ComparisonPace } from './comparison-pace.js';
import { watchInterrupts } from './interruption.js';
import { openConfig } from './open-config.js';
import { describeModel, type OpenedData, openData } from './open-data.js';

export interface ComparisonRequest {
  readonly optimizers: string;
  /** Steps of every run; if missing, as many as `minutes` allow, up to the default. */
  readonly steps?: number;
  readonly minutes: number;
  readonly data: string;
  readonly tokenizer: string;
  readonly offline?: boolean;
  readonly config?: string;
  readonly seed: number;
  readonly batch: number;
  readonly length: number;
  readonly backend: string;
}

interface Plan {
  readonly specs: readonly MethodSpec[];
  readonly config: LlamaConfig;
  readonly opened: OpenedData;
  readonly signal: AbortSignal;
  readonly progress: Progress;
}

/** Minutes are for everything: this is kept for what follows the last run. */
const RESERVE = 5_000;

/**
 * Runs the comparison that the command line asks for.
 *
 * @param output Where to show how it goes.
 * @param began When the command started, for the time limit.
 * @returns null if it was interrupted before the first run.
 */
export async function runComparison(
  request: ComparisonRequest,
  output: ProgressOutput,
  began: number,
): Promise<Comparison | null> {
  const specs = parseMethods(request.optimizers);
  // With any number of steps: a mistake in a name or an option should show before anything is loaded or measured.
  for (const spec of specs) tunedMethod(spec, { steps: COMPARISON_DEFAULTS.steps, layers: 4 });
  const progress = new Progress(output);
  const { signal, release } = watchInterrupts(line => progress.print(line));
  try {
    await selectBackend(request.backend);
    const opened = await openData({ ...request, log: line => progress.print(line) });
    const { vocabSize } = opened.tokenizer;
    const { config: name, length } = request;
    const config = name === undefined ? comparisonModel(vocabSize) : await openConfig(name, vocabSize, length);
    const plan: Plan = { specs, config, opened, signal, progress };
    await sayHowFast(plan, request.backend);
    const steps = await affordable(plan, request, began);
    return steps === null ? null : await runAll(plan, request, steps);
  } finally {
    progress.clear();
    release();
  }
}

/** On another backend than wasm: how a whole training step compares with one on wasm. */
async function sayHowFast({ config, opened, signal, progress }: Plan, backend: string): Promise<void> {
  const times = await againstWasm(config, opened.dataset, backend, signal);
  if (times === null) return;
  const [here, wasm] = [times.here, times.wasm].map(milliseconds => `${milliseconds.toFixed(0)} ms`);
  progress.print(
    `Speed  a training step takes ${here} on ${backend} and ${wasm} on wasm, ${(times.wasm / times.here).toFixed(1)} × as long\n`,
  );
}

/**
 * The number of steps asked for, or else the default, or fewer if the machine is too slow for it; null if interrupted.
 * The measurement is made in any case, since it also warms the machine up.
 */
async function affordable(plan: Plan, request: ComparisonRequest, began: number): Promise<number | null> {
  const { specs, config, opened, signal, progress } = plan;
  const { steps, minutes } = request;
  const wanted = steps ?? COMPARISON_DEFAULTS.steps;
  const milliseconds = minutes * 60_000 - (performance.now() - began) - RESERVE;
  const budget = await affordableSteps(config, opened.dataset, { runs: specs.length, wanted, milliseconds, signal });
  if (budget === null) return null;
  if (steps === undefined && budget.steps < wanted) {
    progress.print(
      `A step takes ${budget.millisecondsPerStep.toFixed(0)} ms here: to end within ${minutes} min, runs have ${budget.steps} ` +
        `steps instead of ${wanted} (see --minutes and --steps).`,
    );
  }
  return steps ?? budget.steps;
}

function runAll(plan: Plan, { batch, length, seed, backend }: ComparisonRequest, steps: number): Promise<Comparison> {
  const { specs, config, opened, signal, progress } = plan;
  const { dataset, tokenizer, name } = opened;
  const methods = specs.map(spec => tunedMethod(spec, { steps, layers: config.num_hidden_layers }));
  const weights = formatCount(parameterCount(config).total);
  const tokens = `${formatCount(dataset.train.length)} tokens to train on, ${formatCount(dataset.validation.length)} held out`;
  progress.print(`Model  LLaMA, ${describeModel(config)}, ${weights} weights, seed ${seed}`);
  progress.print(`Text   ${name} (${tokenizer.kind}), ${tokens}`);
  progress.print(
    `Runs   ${methods.length} × ${formatCount(steps)} steps of ${formatCount(batch * length)} tokens, backend ${backend}\n`,
  );

  const pace = new ComparisonPace({ runs: methods.length, steps, tokensPerStep: batch * length });
  const place = (run: number): string => `[${run + 1}/${methods.length}]`;
  const titleWidth = Math.max(...methods.map(({ label }) => [...`${place(0)} ${label}`].length));
  let ended = 0;
  return compare({
    config,
    data: dataset,
    methods,
    steps,
    seed,
    dataName: name,
    tokenizer: tokenizer.kind,
    signal,
    onStep: (method, step) => {
      pace.add(ended, step);
      const title = `${place(ended)} ${method.label}`;
      progress.update({ title, titleWidth, done: step.step, total: steps, details: pace.details() });
    },
    onRunEnd: run => progress.print(`${place(ended++)} ${run.optimizer}: ${outcome(run, pace.runSeconds())}`),
  });
}

function outcome({ status, steps, validationLoss, stateBytes }: RunResult, seconds: number): string {
  if (status === 'diverged') return `diverged at step ${steps + 1}`;
  if (status === 'interrupted') return `stopped after step ${steps}`;
  return `validation loss ${validationLoss!.toFixed(3)}, ${formatBytes(stateBytes)} of state, ${formatDuration(seconds)}`;
}
