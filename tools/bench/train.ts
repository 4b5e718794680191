import '@tensorflow/tfjs-layers'; // registers the gradients
import { cpus, loadavg } from 'node:os';
import { compose } from '@frugaljs/composer';
import {
  defaultPreset,
  type LlamaConfig,
  LlamaForCausalLM,
  parameterCount,
  preset,
  type Tokens,
} from '@frugaljs/llama';
import { adamW } from '@frugaljs/state-full';
import { dispose, type Optimizer, train, variableGrads } from '@tensorflow/tfjs-core';
import { BACKEND_NAMES, startBackend, stopwatchFor } from './backends.js';
import { peakBytes, roundRobin, type Timed } from './measure.js';
import { clockOption, integerOption, namesOption, type Print, readOptions, writeReport } from './options.js';
import { COMPOSITIONS, type CompositionName, type Timer } from './runs.js';
import { type Column, digits, mebibytes, median, summarize, TIME_COLUMNS, type TimedRow, table } from './table.js';

const OPTIONS = ['backend', 'methods', 'rounds', 'clock', 'json'];
const BATCH = 4;
const LENGTH = 64;
const WARM_UP = 3;
/** Milliseconds for all steps of a method. */
const BUDGET = 20_000;

/** A method on a backend. */
interface Row extends TimedRow {
  readonly method: TrainingMethod;
  /** Median on top of that of `gradients`: what the update takes. */
  readonly updateMs: number | null;
  /** Median of `tf.train.adam` over that of the method: above 1 is faster. */
  readonly ratioAdam: number | null;
  readonly peakBytes: number;
}

const COLUMNS: readonly Column<Row>[] = [
  ...TIME_COLUMNS,
  { heading: 'update ms', show: row => digits(row.updateMs) },
  { heading: '× adam', show: row => digits(row.ratioAdam) },
  { heading: 'peak MiB', show: row => mebibytes(row.peakBytes) },
];

/** `train`: one table of whole training steps of a small LLaMA: forward pass, backward pass and update. */
export async function trainCommand(args: readonly string[], print: Print): Promise<void> {
  const options = readOptions(args, OPTIONS);
  const rounds = integerOption('rounds', options['rounds'], 15);
  const clock = clockOption(options['clock']);
  const backends = namesOption('backend', options['backend'], BACKEND_NAMES, ['wasm']);
  const methods = namesOption('methods', options['methods'], TRAINING_METHODS, TRAINING_METHODS);
  const config = preset(defaultPreset);
  const tokens = batchFor(config);
  const settings = {
    ...{ model: defaultPreset, batch: BATCH, length: LENGTH, rounds, clock },
    ...{ node: process.version, processor: cpus()[0]?.model ?? 'unknown' },
  };
  print(
    `LLaMA ${defaultPreset}, ${BATCH} × ${LENGTH} tokens, ${rounds} rounds, ${clock} time, Node ${process.version}`,
  );
  print(`${settings.processor}, ${cpus().length} cores, load ${loadavg()[0]!.toFixed(1)}`);

  const rows: Row[] = [];
  for (const backend of backends) {
    await startBackend(backend);
    const timer = stopwatchFor(backend, clock);
    const runs = methods.map(method => new TrainingRun(backend, method, config, tokens, timer));
    const samples = await roundRobin(runs, { rounds, warmUp: WARM_UP, budget: BUDGET });
    rows.push(...rowsOf(runs, samples));
    for (const run of runs) run.dispose();
  }
  print('');
  for (const line of table(COLUMNS, rows)) print(line);
  if (options['json'] !== undefined) writeReport(options['json'], { settings, rows });
}

function rowsOf(runs: readonly TrainingRun[], samples: readonly (readonly number[])[]): Row[] {
  const medianOf = (name: TrainingMethod): number | null => {
    const i = runs.findIndex(({ method }) => method === name);
    return i < 0 ? null : median(samples[i]!);
  };
  const [shared, adam] = [medianOf('gradients'), medianOf('tf.train.adam')];
  return runs.map((run, i): Row => {
    const summary = summarize(samples[i]!);
    const { backend, method } = run;
    return {
      ...{ backend, method, ...summary },
      updateMs: shared === null || method === 'gradients' ? null : summary.medianMs - shared,
      ratioAdam: adam === null ? null : adam / summary.medianMs,
      peakBytes: run.peakBytes(),
      rounds: samples[i]!.length,
    };
  });
}

/** Which tokens they are changes nothing of the work. */
function batchFor({ vocab_size }: LlamaConfig): Tokens {
  const shape = [BATCH, LENGTH + 1] as const;
  return { data: Int32Array.from({ length: shape[0] * shape[1] }, (_, i) => (i * 7919) % vocab_size), shape };
}

/** `gradients` stops before the update: what every method shares. */
type TrainingMethod = 'gradients' | 'tf.train.sgd' | 'tf.train.adam' | CompositionName;

const TRAINING_METHODS: readonly TrainingMethod[] = [
  'gradients',
  'tf.train.sgd',
  'tf.train.adam',
  ...(Object.keys(COMPOSITIONS) as CompositionName[]),
];

const RATE = 1e-3;

/** Whole training steps of a model of its own: loss, gradients, update. */
class TrainingRun implements Timed {
  readonly params: number;
  private readonly model: LlamaForCausalLM;
  private readonly optimizer: Optimizer | null;

  constructor(
    readonly backend: string,
    readonly method: TrainingMethod,
    config: LlamaConfig,
    private readonly tokens: Tokens,
    private readonly timer: Timer,
  ) {
    this.params = parameterCount(config).total;
    this.model = new LlamaForCausalLM(config, { namePrefix: `${method}/` });
    this.optimizer = optimizerOf(method);
  }

  time(): number | Promise<number> {
    return this.timer(() => this.step());
  }

  /** Most memory that a step takes on top of weights and state. */
  peakBytes(): number {
    return peakBytes(() => this.step());
  }

  dispose(): void {
    this.optimizer?.dispose();
    this.model.dispose();
  }

  private step(): void {
    const { value, grads } = variableGrads(() => this.model.loss(this.tokens));
    this.optimizer?.applyGradients(grads);
    dispose([value, grads]);
  }
}

function optimizerOf(method: TrainingMethod): Optimizer | null {
  switch (method) {
    case 'gradients':
      return null;
    case 'tf.train.sgd':
      return train.sgd(RATE);
    case 'tf.train.adam':
      return train.adam(RATE);
    default:
      // Vectors, the scales of the norms, stay state-full, as recipes keep them.
      return compose({
        learningRate: RATE,
        groups: [{ match: { maxRank: 1 }, use: adamW() }, { use: COMPOSITIONS[method]() }],
      });
  }
}
