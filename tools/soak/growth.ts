import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { wasmHeapBytes } from '@frugaljs/backend-wasm/heap-guard';
import { compose, residual, subspace } from '@frugaljs/composer';
import { blockwise, randK, random, svd } from '@frugaljs/projectors';
import { signSgd } from '@frugaljs/state-free';
import { adamW } from '@frugaljs/state-full';
import { dispose, memory, setBackend } from '@tensorflow/tfjs-core';
import { composition } from '../test-support/compositions.js';
import { TinyModel } from './runs.js';

/** What a process holds. */
interface Holding {
  /** V8's heap and its array buffers, after a collection. */
  readonly heap: number;
  readonly rss: number;
  /** 0 on other backends. */
  readonly wasm: number;
  readonly tensors: number;
  readonly bytes: number;
}

/** How much each may grow from the middle of a run to its end. */
const BOUNDS: Holding = {
  // What V8 compiles and counts on the way; a number kept in each of 10,000 steps would be more.
  heap: 1.5 * 2 ** 20,
  // The allocator of the system gives pages back when it likes.
  rss: 32 * 2 ** 20,
  wasm: 0,
  // The blocks that take turns differ in size, so that the line is never quite level.
  tensors: 0.5,
  bytes: 64,
};

/** A loop that should hold as much in the end as in its middle. */
export interface Loop {
  readonly name: string;
  readonly backend: 'cpu' | 'wasm';
  readonly turns: number;
  /** Makes one turn; the functions are called once for the whole loop. */
  start(): { turn(i: number): void; end(): void };
}

/** What was measured, and what grew. */
export interface Growth {
  readonly name: string;
  readonly backend: string;
  readonly turns: number;
  /** In the middle and at the end, on the line through the samples of the last half. */
  readonly middle: Holding;
  readonly end: Holding;
  readonly faults: readonly string[];
}

/** Samples in the last half of a loop. */
const SAMPLES = 20;

/**
 * Runs a loop and samples what the process holds in its last half. Flat is what grows, on the line of least squares
 * through the samples, by no more than {@link BOUNDS} over that half.
 */
export async function watch(loop: Loop): Promise<Growth> {
  const { name, backend, turns } = loop;
  await setBackend(backend);
  const before = memory().numTensors;
  const run = loop.start();
  const samples: Holding[] = [];
  const warm = Math.floor(turns / 2);
  const every = Math.max(1, Math.floor((turns - warm) / SAMPLES));
  for (let i = 0; i < turns; i++) {
    run.turn(i);
    if (i < warm || (i - warm) % every !== 0) continue;
    // References to what is gone are cleared between turns of the event loop.
    await new Promise(resolve => setImmediate(resolve));
    samples.push(holding());
  }
  run.end();
  const middle: Record<string, number> = {};
  const end: Record<string, number> = {};
  const faults: string[] = [];
  for (const key of Object.keys(BOUNDS) as (keyof Holding)[]) {
    const line = lineThrough(samples.map(sample => sample[key]));
    middle[key] = line.from;
    end[key] = line.to;
    const grown = line.to - line.from;
    // Numbers that did not change lie on a line but for rounding.
    if (grown > BOUNDS[key] + 1e-6 * Math.abs(line.from)) {
      faults.push(`${key} grows by ${Math.round(grown)} in ${turns - warm} turns; at most ${BOUNDS[key]} is flat`);
    }
  }
  const left = memory().numTensors - before;
  if (left !== 0) faults.push(`${left} tensors are left in the end`);
  return { name, backend, turns, middle: middle as unknown as Holding, end: end as unknown as Holding, faults };
}

const BACKENDS = ['cpu', 'wasm'] as const;
/** What steps go through: a split by rows, one of entries, dense bases, whole blocks and a plain rule. */
const STEPPED = ['frugal', 'frugal-randK', 'galore', 'badam', 'adamW'];

/** Steps of several recipes in turn, of one optimizer each. */
export function stepLoops(turns: number): Loop[] {
  return BACKENDS.map(backend => ({
    name: `steps of ${STEPPED.join(', ')}`,
    backend,
    turns,
    start() {
      const runs = STEPPED.map((name, i) => ({ model: new TinyModel(`${i}/`), optimizer: composition(name) }));
      return {
        turn: i => {
          const { model, optimizer } = runs[i % runs.length]!;
          model.train(optimizer, i % 50);
        },
        end: () => {
          for (const { model, optimizer } of runs) {
            optimizer.dispose();
            model.dispose();
          }
        },
      };
    },
  }));
}

/** Optimizers of ever other constants, each made, stepped and disposed. */
export function optimizerLoops(turns: number): Loop[] {
  return BACKENDS.map(backend => ({
    name: 'optimizers of other constants',
    backend,
    turns,
    start() {
      const model = new TinyModel();
      return {
        turn: i => {
          const part = (i + 1) / (turns + 1);
          const rule = adamW({ beta1: 0.9 * part, beta2: 0.99 + 0.009 * part, epsilon: 1e-6 * part });
          const split = subspace({
            projector: randK({ density: part }),
            rule,
            combine: residual(signSgd(), { scale: part }),
          });
          const optimizer = compose({
            learningRate: 0.01,
            groups: [{ match: { minRank: 2 }, use: split, weightDecay: part }, { use: rule }],
          });
          model.train(optimizer, i % 50);
          optimizer.dispose();
        },
        end: () => model.dispose(),
      };
    },
  }));
}

const REFRESHED = { svd, random, randK, blockwise };

/** Refreshes: a new subspace with every step, half of them with the state carried over. */
export function refreshLoops(turns: number): Loop[] {
  return BACKENDS.flatMap(backend =>
    Object.entries(REFRESHED).map(([name, projector]) => ({
      name: `refreshes of ${name}`,
      backend,
      turns,
      start() {
        const model = new TinyModel();
        const optimizers = (['reset', 'transport'] as const).map(onRefresh => {
          const use = subspace({
            projector: projector({ density: 0.5 }),
            rule: adamW(),
            combine: residual(signSgd()),
            refresh: { every: 1 },
            onRefresh,
          });
          const names = Object.keys(model.shapes).filter(each => model.shapes[each]!.length === 2);
          const match = onRefresh === 'reset' ? names.slice(0, 1) : names.slice(1);
          return { match, optimizer: compose({ learningRate: 0.01, groups: [{ use }] }) };
        });
        return {
          turn: i => {
            const all = model.gradients(i % 50);
            for (const { match, optimizer } of optimizers) {
              optimizer.applyGradients(match.map(each => ({ name: each, tensor: all[each]! })));
            }
            dispose(all);
          },
          end: () => {
            for (const { optimizer } of optimizers) optimizer.dispose();
            model.dispose();
          },
        };
      },
    })),
  );
}

/** One line of a report. */
export function describe({ name, backend, turns, middle, end, faults }: Growth): string {
  const mebibytes = (bytes: number): string => (bytes / 2 ** 20).toFixed(2);
  const numbers = [
    `V8 ${mebibytes(middle.heap)} → ${mebibytes(end.heap)} MiB`,
    `rss ${mebibytes(middle.rss)} → ${mebibytes(end.rss)} MiB`,
    ...(backend === 'wasm' ? [`wasm ${mebibytes(middle.wasm)} → ${mebibytes(end.wasm)} MiB`] : []),
    `tensors ${Math.round(middle.tensors)} → ${Math.round(end.tensors)}`,
    `bytes ${Math.round(middle.bytes)} → ${Math.round(end.bytes)}`,
  ];
  const verdict = faults.length === 0 ? 'flat' : faults.join('; ');
  return `${backend}, ${turns} ${name}: ${numbers.join(', ')}: ${verdict}`;
}

let collect: (() => void) | undefined;

function holding(): Holding {
  if (collect === undefined) {
    setFlagsFromString('--expose-gc');
    collect = runInNewContext('gc') as () => void;
  }
  collect();
  const { heapUsed, arrayBuffers, rss } = process.memoryUsage();
  const { numTensors, numBytes } = memory();
  // The heap of wasm is an array buffer too.
  const wasm = wasmHeapBytes() ?? 0;
  return { heap: heapUsed + arrayBuffers - wasm, rss, wasm, tensors: numTensors, bytes: numBytes };
}

/** The line of least squares through values at even distances: its ends. */
function lineThrough(values: readonly number[]): { readonly from: number; readonly to: number } {
  const n = values.length;
  const mean = values.reduce((sum, value) => sum + value, 0) / n;
  const middle = (n - 1) / 2;
  let products = 0;
  let squares = 0;
  values.forEach((value, i) => {
    products += (i - middle) * (value - mean);
    squares += (i - middle) ** 2;
  });
  const slope = squares === 0 ? 0 : products / squares;
  return { from: mean - slope * middle, to: mean + slope * middle };
}
