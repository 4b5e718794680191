import { type LlamaConfig, parameterCount } from '@frugaljs/llama';
import { selectBackend } from '../backend.js';
import { compare, comparisonModel } from '../comparison/compare.js';
import { type MethodSpec, parseMethods, tunedMethod } from '../comparison/method.js';
import { COMPARISON_DEFAULTS, type Comparison, caveat, comparisonTable, type RunResult } from '../comparison/result.js';
import { affordableSteps, againstWasm } from '../comparison/timing.js';
import { comparisonReport } from '../report/report.js';
import { Progress, type Streams } from '../terminal/output.js';
import { formatBytes, formatCount, formatDuration, wrap } from '../terminal/text.js';
import type { Step } from '../training/steps.js';
import { SmoothedLoss } from '../training/train.js';
import type { ComparisonRequest } from './compare-command.js';
import { EXIT, watchInterrupts } from './exit.js';
import { describeModel, type OpenedData, openConfig, openData, requireRoomForWeights } from './open-inputs.js';
import { jsonText, requireAllWritable, tryOutput } from './output-file.js';

/**
 * Compares as the command line asks for: progress goes to standard error, the table to standard output.
 *
 * @param began When the command started, for the time limit.
 * @returns The exit code.
 */
export async function runComparison(
  request: ComparisonRequest,
  { stdout, stderr }: Streams,
  began: number,
): Promise<number> {
  const report = request.report === false ? undefined : request.report;
  const { report: reportFile, json: jsonFile } = await requireAllWritable({ report, json: request.json });
  const progress = new Progress(stderr);
  const interruption = watchInterrupts(line => progress.print(line));
  const comparison = await comparisonOf(request, progress, interruption.signal, began).finally(interruption.release);
  if (comparison === null || comparison.runs.length === 0) return interruption.exitCode();

  stdout.write(`\n${comparisonTable(comparison)}\n\n${wrap(caveat(comparison.settings))}\n`);
  const notice = (line: string): void => progress.print(`frugal: ${line}`);
  const hasJson = jsonFile === null || (await tryOutput('json', jsonFile, jsonText(comparison), notice));
  const hasReport =
    reportFile === null || (await tryOutput('report', reportFile, comparisonReport(comparison), notice));
  if (reportFile !== null && hasReport) stdout.write(`Loss curves: ${report}\n`);
  stdout.write(`${formatDuration((performance.now() - began) / 1000)} in all.\n`);
  if (!hasJson || !hasReport) return EXIT.failure;
  return comparison.interrupted ? interruption.exitCode() : EXIT.ok;
}

/** What all runs of the comparison share, once it is opened. */
interface Setup {
  readonly specs: readonly MethodSpec[];
  readonly config: LlamaConfig;
  readonly opened: OpenedData;
  readonly signal: AbortSignal;
  readonly progress: Progress;
}

/** Minutes are for everything: this is kept for what follows the last run. */
const RESERVE = 5_000;

/** @returns null if it was interrupted before the first run. */
async function comparisonOf(
  request: ComparisonRequest,
  progress: Progress,
  signal: AbortSignal,
  began: number,
): Promise<Comparison | null> {
  const specs = parseMethods(request.optimizers);
  // With any number of steps: a mistake in a name or an option should show before anything is loaded or measured.
  for (const spec of specs) tunedMethod(spec, { steps: COMPARISON_DEFAULTS.steps, layers: 4 });
  try {
    await selectBackend(request.backend);
    const opened = await openData({ ...request, log: line => progress.print(line) });
    const { vocabSize } = opened.tokenizer;
    const { config: name, length } = request;
    const config = name === undefined ? comparisonModel(vocabSize) : await openConfig(name, vocabSize, length);
    requireRoomForWeights(config, request.backend);
    const setup: Setup = { specs, config, opened, signal, progress };
    await sayHowFast(setup, request.backend);
    const steps = await affordable(setup, request, began);
    return steps === null ? null : await runAll(setup, request, steps);
  } finally {
    progress.clear();
  }
}

/** On another backend than wasm: how a whole training step compares with one on wasm. */
async function sayHowFast({ config, opened, signal, progress }: Setup, backend: string): Promise<void> {
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
async function affordable(setup: Setup, request: ComparisonRequest, began: number): Promise<number | null> {
  const { specs, config, opened, signal, progress } = setup;
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

function runAll(setup: Setup, { batch, length, seed, backend }: ComparisonRequest, steps: number): Promise<Comparison> {
  const { specs, config, opened, signal, progress } = setup;
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

const SPAN = 20;

/** Keeps what the progress line says about a comparison: the loss, the speed and the time left. */
export class ComparisonPace {
  readonly #totalSteps: number;
  readonly #steps: number;
  readonly #tokensPerStep: number;
  readonly #now: () => number;
  readonly #began: number;
  #run = -1;
  #runBegan = 0;
  #stepsDone = 0;
  #loss = new SmoothedLoss(SPAN);
  #milliseconds = new SmoothedLoss(SPAN);

  /** @param now Milliseconds; only differences count. */
  constructor(
    { runs, steps, tokensPerStep }: { readonly runs: number; readonly steps: number; readonly tokensPerStep: number },
    now: () => number = () => performance.now(),
  ) {
    this.#totalSteps = runs * steps;
    this.#steps = steps;
    this.#tokensPerStep = tokensPerStep;
    this.#now = now;
    this.#began = now();
  }

  /** @param run Which of the runs, counted from 0. */
  add(run: number, step: Step): void {
    if (run !== this.#run) {
      this.#run = run;
      this.#runBegan = this.#now() - step.milliseconds;
      this.#loss = new SmoothedLoss(SPAN);
      this.#milliseconds = new SmoothedLoss(SPAN);
    }
    this.#stepsDone = run * this.#steps + step.step;
    this.#loss.add(step.loss);
    this.#milliseconds.add(step.milliseconds);
  }

  /** Seconds since the first step of the current run. */
  runSeconds(): number {
    return (this.#now() - this.#runBegan) / 1000;
  }

  /** Seconds until the last run ends, if it goes on as it has so far, evaluations included. */
  secondsLeft(): number {
    const each = (this.#now() - this.#began) / 1000 / this.#stepsDone;
    return each * (this.#totalSteps - this.#stepsDone);
  }

  details(): string[] {
    const tokensPerSecond = (1000 * this.#tokensPerStep) / this.#milliseconds.value;
    return [
      `loss ${this.#loss.value.toFixed(3)}`,
      `${formatDuration(this.secondsLeft())} left`,
      `${formatCount(tokensPerSecond)} tokens/s`,
    ];
  }
}
