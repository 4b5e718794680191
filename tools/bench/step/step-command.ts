import { cpus, loadavg } from 'node:os';
import { fileURLToPath } from 'node:url';
import {
  BACKEND_NAMES,
  type BackendName,
  DEFAULT_BACKENDS,
  slownessOfProducts,
  startBackend,
  stopwatchFor,
} from '../backends.js';
import type { Print } from '../print.js';
import { roundRobin } from '../round-robin.js';
import { digits, table } from '../table.js';
import { clockOption, integerOption, namesOption, readOptions } from '../usage.js';
import { writeReport } from '../write-report.js';
import { comparisons } from './comparisons.js';
import type { Contender } from './contender.js';
import { copyContender } from './copy-contender.js';
import { METHOD_NAMES, type MethodName } from './methods.js';
import { composedContender, TFJS_METHODS, type TfjsMethod, tfjsContender } from './optimizer-contender.js';
import { COLUMNS, type Row, rowsOf } from './row.js';
import { svdProducts } from './svd-products.js';
import { type RefreshProblem, refreshProblem, SvdRefresh } from './svd-refresh.js';
import { TorchProcess } from './torch-contenders.js';
import { Workload } from './workload.js';

const OPTIONS = ['backend', 'methods', 'rounds', 'clock', 'json', 'matrices', 'size', 'text', 'torch'];
const LICENSE = fileURLToPath(new URL('../../../LICENSE', import.meta.url));
const WARM_UP = 4;
/** Milliseconds for all steps of a method. */
const BUDGET = 20_000;

type Timer = (work: () => void) => number | Promise<number>;

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
    const contenders = contendersOf(backend, chosen, workload, stopwatchFor(backend, clock), problem);
    // The other program takes part in the rounds of the first backend.
    if (i === 0 && torch !== null) contenders.push(...torch.contenders());
    const samples = await roundRobin(contenders, { rounds, warmUp: WARM_UP, budget: BUDGET });
    rows.push(...rowsOf(contenders, samples));
    for (const contender of contenders) {
      if (!(contender instanceof SvdRefresh)) continue;
      const share = 100 * (await contender.capturedEnergy());
      notes.push(`${backend} ${contender.method}: ${share.toFixed(2)} % of the energy of the exact top 256`);
    }
    for (const contender of contenders) contender.dispose();
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

function contendersOf(
  backend: BackendName,
  methods: readonly MethodName[],
  workload: Workload,
  timer: Timer,
  problem: RefreshProblem | null,
): Contender[] {
  return methods.map(method => {
    if (method === 'copy') return copyContender(backend, workload, timer);
    if (method === 'svd-products') return svdProducts(backend, workload, timer);
    if (isRefresh(method)) return new SvdRefresh(backend, problem!, method === 'svd-refresh', timer);
    if (isTfjs(method)) return tfjsContender(backend, method, workload, timer);
    return composedContender(backend, method, workload, timer);
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
const isProduct = (method: MethodName): boolean => method.includes('svd');

const isTfjs = (method: MethodName): method is TfjsMethod => (TFJS_METHODS as readonly string[]).includes(method);
