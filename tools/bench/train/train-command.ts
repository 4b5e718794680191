import '@tensorflow/tfjs-layers'; // registers the gradients
import { cpus, loadavg } from 'node:os';
import { defaultPreset, type LlamaConfig, preset, type Tokens } from '@frugaljs/llama';
import { BACKEND_NAMES, startBackend, stopwatchFor } from '../backends.js';
import type { Print } from '../print.js';
import { roundRobin } from '../round-robin.js';
import { median, summarize } from '../samples.js';
import { type Column, digits, mebibytes, table } from '../table.js';
import { TIME_COLUMNS, type TimedRow } from '../time-columns.js';
import { clockOption, integerOption, namesOption, readOptions } from '../usage.js';
import { writeReport } from '../write-report.js';
import { TRAINING_METHODS, TrainingContender, type TrainingMethod } from './training-contender.js';

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
    const contenders = methods.map(method => new TrainingContender(backend, method, config, tokens, timer));
    const samples = await roundRobin(contenders, { rounds, warmUp: WARM_UP, budget: BUDGET });
    rows.push(...rowsOf(contenders, samples));
    for (const contender of contenders) contender.dispose();
  }
  print('');
  for (const line of table(COLUMNS, rows)) print(line);
  if (options['json'] !== undefined) writeReport(options['json'], { settings, rows });
}

function rowsOf(contenders: readonly TrainingContender[], samples: readonly (readonly number[])[]): Row[] {
  const medianOf = (name: TrainingMethod): number | null => {
    const i = contenders.findIndex(({ method }) => method === name);
    return i < 0 ? null : median(samples[i]!);
  };
  const [shared, adam] = [medianOf('gradients'), medianOf('tf.train.adam')];
  return contenders.map((contender, i): Row => {
    const summary = summarize(samples[i]!);
    const { backend, method } = contender;
    return {
      ...{ backend, method, ...summary },
      updateMs: shared === null || method === 'gradients' ? null : summary.medianMs - shared,
      ratioAdam: adam === null ? null : adam / summary.medianMs,
      peakBytes: contender.peakBytes(),
      rounds: samples[i]!.length,
    };
  });
}

/** Which tokens they are changes nothing of the work. */
function batchFor({ vocab_size }: LlamaConfig): Tokens {
  const shape = [BATCH, LENGTH + 1] as const;
  return { data: Int32Array.from({ length: shape[0] * shape[1] }, (_, i) => (i * 7919) % vocab_size), shape };
}
