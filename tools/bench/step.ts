import { cpus, loadavg } from 'node:os';
import { fileURLToPath } from 'node:url';
import {
  BACKEND_NAMES,
  type BackendName,
  DEFAULT_BACKENDS,
  slownessOfProducts,
  startBackend,
  stopwatchFor,
} from './backends.js';
import { roundRobin } from './measure.js';
import { clockOption, integerOption, namesOption, type Print, readOptions, writeReport } from './options.js';
import {
  COMPOSITIONS,
  type CompositionName,
  composedRun,
  copyRun,
  PRODUCTS,
  type ProductName,
  productsRun,
  type Run,
  TFJS_METHODS,
  type TfjsMethod,
  type Timer,
  tfjsRun,
  Workload,
} from './runs.js';
import { type RefreshProblem, refreshProblem, SvdRefresh } from './svd-refresh.js';
import { type Column, digits, mebibytes, percent, summarize, TIME_COLUMNS, type TimedRow, table } from './table.js';
import { TorchProcess } from './torch.js';

const OPTIONS = ['backend', 'methods', 'rounds', 'clock', 'json', 'matrices', 'size', 'text', 'torch'];
const LICENSE = fileURLToPath(new URL('../../LICENSE', import.meta.url));
const WARM_UP = 4;
/** Milliseconds for all steps of a method. */
const BUDGET = 20_000;

/** Everything that can be measured on a backend of tfjs, in the order of the table. */
type MethodName = 'copy' | TfjsMethod | CompositionName | ProductName | 'svd-refresh' | 'svd-refresh-cold';

const METHOD_NAMES: readonly MethodName[] = [
  'copy',
  ...TFJS_METHODS,
  ...(Object.keys(COMPOSITIONS) as CompositionName[]),
  ...(Object.keys(PRODUCTS) as ProductName[]),
  'svd-refresh',
  'svd-refresh-cold',
];

/** `step`: one table of one optimizer step, for every method on every backend. */
export async function stepCommand(args: readonly string[], print: Print): Promise<void> {
  const options = readOptions(args, OPTIONS);
  const matrices = integerOption('matrices', options['matrices'], 12);
  const size = integerOption('size', options['size'], 1024);
  const rounds = integerOption('rounds', options['rounds'], 15);
  const clock = clockOption(options['clock']);
  const backends = namesOption('backend', options['backend'], BACKEND_NAMES, DEFAULT_BACKENDS);
  const methods = namesOption('methods', options['methods'], METHOD_NAMES, METHOD_NAMES);
  const text = options['text'] ?? LICENSE;
  const torch =
    options['torch'] === undefined ? null : await TorchProcess.start(options['torch'], matrices, size, clock);

  const settings = { matrices, size, rounds, clock, node: process.version, processor: cpus()[0]?.model ?? 'unknown' };
  print(`${matrices} matrices of ${size} × ${size}, ${rounds} rounds, ${clock} time, Node ${process.version}`);
  print(`${settings.processor}, ${cpus().length} cores, load ${loadavg()[0]!.toFixed(1)}`);
  print('');

  let problem: RefreshProblem | null = null;
  const rows: Row[] = [];
  const notes: string[] = [];
  for (const [i, backend] of backends.entries()) {
    await startBackend(backend);
    const workload = new Workload(matrices, size);
    const slowness = options['methods'] === undefined ? slownessOfProducts(backend) : null;
    const left = slowness === null ? [] : methods.filter(isProduct);
    if (slowness !== null)
      notes.push(`${backend} ${slowness}: without ${left.join(', ')}; ask for them with --methods`);
    const chosen = methods.filter(method => !left.includes(method));
    if (chosen.some(isRefresh) && problem === null) {
      problem = await realProblem(text);
      await startBackend(backend);
    }
    const runs = runsOf(backend, chosen, workload, stopwatchFor(backend, clock), problem);
    // The other program takes part in the rounds of the first backend.
    if (i === 0 && torch !== null) runs.push(...torch.runs());
    const samples = await roundRobin(runs, { rounds, warmUp: WARM_UP, budget: BUDGET });
    rows.push(...rowsOf(runs, samples));
    for (const run of runs) {
      if (!(run instanceof SvdRefresh)) continue;
      const share = 100 * (await run.capturedEnergy());
      notes.push(`${backend} ${run.method}: ${share.toFixed(2)} % of the energy of the exact top 256`);
    }
    for (const run of runs) run.dispose();
    workload.dispose();
  }
  await torch?.close();

  for (const line of table(COLUMNS, rows)) print(line);
  const compared = comparisons(rows);
  print('');
  for (const note of notes) print(note);
  for (const { name, timeRatio } of compared) print(`${name}: ${digits(timeRatio)} of its time`);
  if (options['json'] !== undefined) writeReport(options['json'], { settings, rows, comparisons: compared, notes });
}

function runsOf(
  backend: BackendName,
  methods: readonly MethodName[],
  workload: Workload,
  timer: Timer,
  problem: RefreshProblem | null,
): Run[] {
  return methods.map(method => {
    if (method === 'copy') return copyRun(backend, workload, timer);
    if (isProductAlone(method)) return productsRun(backend, method, workload, timer);
    if (isRefresh(method)) return new SvdRefresh(backend, problem!, method === 'svd-refresh', timer);
    if (isTfjs(method)) return tfjsRun(backend, method, workload, timer);
    return composedRun(backend, method, workload, timer);
  });
}

/** The gradients come from a model that is trained on wasm, which every machine has and which is not slow. */
async function realProblem(text: string): Promise<RefreshProblem> {
  await startBackend('wasm');
  return refreshProblem(text);
}

const isRefresh = (method: MethodName): method is 'svd-refresh' | 'svd-refresh-cold' =>
  method.startsWith('svd-refresh');

/** Made of products of large matrices. */
const isProduct = (method: MethodName): boolean => /svd|random|products/.test(method);

const isProductAlone = (method: MethodName): method is ProductName => Object.hasOwn(PRODUCTS, method);

const isTfjs = (method: MethodName): method is TfjsMethod => (TFJS_METHODS as readonly string[]).includes(method);

/** What is reported of a method on a backend. */
interface Row extends TimedRow {
  /** What ran the step. */
  readonly kernels: string;
  readonly params: number;
  /** Median of `tf.train.adam` on the same backend over that of the method: above 1 is faster. */
  readonly ratioAdam: number | null;
  /** The same of `tf.train.sgd`. */
  readonly ratioSgd: number | null;
  /** Bytes that must be moved, over the median. */
  readonly gbPerSecond: number | null;
  /** `gbPerSecond` over that of `copy` on the same backend. */
  readonly shareOfCopy: number | null;
  /** Most memory that a step takes on top of what is there before it. */
  readonly peakBytes: number | null;
  readonly bytesPerParameter: number | null;
}

/** Rows of runs and their samples, in the same order. */
function rowsOf(runs: readonly Run[], samples: readonly (readonly number[])[]): Row[] {
  const measured = runs.map((run, i) => {
    const summary = summarize(samples[i]!);
    const bytes = run.bytes();
    return { run, summary, bytes, gbPerSecond: bytes === null ? null : bytes / 1e6 / summary.medianMs };
  });
  const of = (backend: string, method: string): (typeof measured)[number] | undefined =>
    measured.find(({ run }) => run.backend === backend && run.method === method);
  return measured.map(({ run, summary, bytes, gbPerSecond }, i): Row => {
    const { backend, method, params } = run;
    const ratio = (reference: string): number | null => {
      const other = of(backend, reference);
      return other === undefined || other.run.params !== params ? null : other.summary.medianMs / summary.medianMs;
    };
    const copied = of(backend, 'copy')?.gbPerSecond ?? null;
    return {
      backend,
      method,
      kernels: run.kernels(),
      params,
      ...summary,
      ratioAdam: ratio('tf.train.adam'),
      ratioSgd: ratio('tf.train.sgd'),
      gbPerSecond,
      shareOfCopy: gbPerSecond === null || copied === null ? null : gbPerSecond / copied,
      peakBytes: run.peakBytes(),
      bytesPerParameter: bytes === null ? null : bytes / params,
      rounds: samples[i]!.length,
    };
  });
}

const COLUMNS: readonly Column<Row>[] = [
  ...TIME_COLUMNS,
  { heading: '× adam', show: row => digits(row.ratioAdam) },
  { heading: '× sgd', show: row => digits(row.ratioSgd) },
  { heading: 'bytes/param', show: row => digits(row.bytesPerParameter) },
  { heading: 'GB/s', show: row => digits(row.gbPerSecond) },
  { heading: 'of copy', show: row => percent(row.shareOfCopy) },
  { heading: 'peak MiB', show: row => mebibytes(row.peakBytes) },
  { heading: 'kernels', show: row => row.kernels, text: true },
];

/** Two methods of one run side by side. */
interface Comparison {
  readonly name: string;
  /** Median of the first over median of the second. */
  readonly timeRatio: number;
}

type Place = readonly [backend: string, method: string];

/** Pairs of which the first should not take much longer than the second. */
const PAIRS: readonly (readonly [Place, Place])[] = [
  [
    ['*', 'custom-rule'],
    ['*', 'adamW'],
  ],
  [
    ['*', 'frugal-svd'],
    ['*', 'svd-products'],
  ],
  [
    ['*', 'fira-random'],
    ['*', 'random-products'],
  ],
  [
    ['*', 'apollo-random'],
    ['*', 'sketch-products'],
  ],
  ...['frugal-columns', 'frugal-randK'].map((method): readonly [Place, Place] => [
    ['*', method],
    ['*', 'frugal-blockwise'],
  ]),
  ...['adamW', 'frugal-blockwise'].map((method): readonly [Place, Place] => [
    ['*', method],
    ['torch', 'adamW-fused'],
  ]),
  ...['frugal-blockwise', 'frugal-rows', 'frugal-columns', 'frugal-randK', 'frugal-svd'].map(
    (method): readonly [Place, Place] => [
      ['*', method],
      ['torch', method],
    ],
  ),
  [
    ['*', 'svd-refresh'],
    ['torch', 'linalg-svd'],
  ],
];

/** The comparisons for which both sides were measured; `*` stands for every backend, the same on both sides. */
function comparisons(rows: readonly Row[]): Comparison[] {
  const find = (backend: string, method: string): Row | undefined =>
    rows.find(row => row.backend === backend && row.method === method);
  const backends = [...new Set(rows.map(({ backend }) => backend))].filter(name => name !== 'torch');
  return PAIRS.flatMap(([[, method], [otherBackend, otherMethod]]) =>
    backends.flatMap(backend => {
      const [first, second] = [find(backend, method), find(otherBackend === '*' ? backend : otherBackend, otherMethod)];
      if (first === undefined || second === undefined) return [];
      const name = `${first.backend} ${first.method} / ${second.backend} ${second.method}`;
      return [{ name, timeRatio: first.medianMs / second.medianMs }];
    }),
  );
}
