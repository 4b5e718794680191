import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { engine, type KernelBackend, memory } from '@tensorflow/tfjs-core';

/** Something that is measured once per round. */
export interface Timed {
  /** Takes one step and returns its milliseconds. */
  time(): number | Promise<number>;
}

export interface Schedule {
  readonly rounds: number;
  /** Steps before the first round: kernels are compiled, state is made, engines optimize. */
  readonly warmUp: number;
  /** Milliseconds one run may take in all rounds together; one that is slower sits out some rounds. */
  readonly budget: number;
}

/** Milliseconds; what takes longer than this does not depend on what ran before. */
const QUICK = 250;

/** Even slow runs are measured this often, if there are as many rounds. */
const FEWEST = 3;

/**
 * Measures runs in turns, one step each per round, so that a slow minute of the machine hits all alike.
 * Before the step that is measured, garbage is collected and a step is taken that does not count: a step of training
 * follows others of its own kind, and finds neither the garbage nor the caches of another method.
 *
 * @returns The milliseconds of every run's rounds.
 */
export async function roundRobin(runs: readonly Timed[], { rounds, warmUp, budget }: Schedule): Promise<number[][]> {
  const fastest: number[] = [];
  for (const run of runs) {
    let best = Number.POSITIVE_INFINITY;
    for (let i = 0; i < warmUp; i++) {
      best = Math.min(best, await run.time());
      // One step of a run this slow is warm-up enough.
      if (best > budget / FEWEST) break;
    }
    fastest.push(best);
  }
  const turns = fastest.map(best => Math.min(rounds, Math.max(FEWEST, Math.floor(budget / best))));
  const samples: number[][] = runs.map(() => []);
  for (let round = 0; round < rounds; round++) {
    for (const [i, run] of runs.entries()) {
      if (!isTurn(round, rounds, turns[i]!)) continue;
      collectGarbage();
      if (fastest[i]! < QUICK) await run.time();
      samples[i]!.push(await run.time());
    }
  }
  return samples;
}

/** Spreads `turns` evenly over the rounds. */
function isTurn(round: number, rounds: number, turns: number): boolean {
  return Math.floor(((round + 1) * turns) / rounds) > Math.floor((round * turns) / rounds);
}

setFlagsFromString('--expose-gc');

/** Frees what nothing refers to any more, so that one run does not pay for the garbage of another. */
const collectGarbage: () => void = runInNewContext('gc') as () => void;

/** The allocator of the tfjs wasm backend. */
interface Heap {
  _malloc(bytes: number): number;
  _free(offset: number): void;
}

/**
 * The most memory that work takes at any moment on top of what is in use before it. On the wasm backend every block that
 * JavaScript asks the heap for is counted: tensors and scratch memory (not what XNNPACK allocates by itself). On other
 * backends tensors are counted as tfjs counts them.
 */
export function peakBytes(work: () => void): number {
  const { wasm } = engine().backend as KernelBackend & { readonly wasm?: Heap };
  return wasm === undefined ? peakOfTensors(work) : peakOfHeap(wasm, work);
}

function peakOfHeap(heap: Heap, work: () => void): number {
  const { _malloc, _free } = heap;
  const sizes = new Map<number, number>();
  let inUse = 0;
  let peak = 0;
  heap._malloc = bytes => {
    const offset = _malloc(bytes);
    sizes.set(offset >>> 0, bytes);
    inUse += bytes;
    peak = Math.max(peak, inUse);
    return offset;
  };
  heap._free = offset => {
    // Blocks from before the work were in use then and do not count.
    inUse -= sizes.get(offset >>> 0) ?? 0;
    sizes.delete(offset >>> 0);
    _free(offset);
  };
  try {
    work();
  } finally {
    Object.assign(heap, { _malloc, _free });
  }
  return peak;
}

function peakOfTensors(work: () => void): number {
  const tracker = engine();
  const before = memory().numBytes;
  let peak = 0;
  const own = Object.hasOwn(tracker, 'trackTensor');
  const { trackTensor } = tracker;
  tracker.trackTensor = (tensor, backend) => {
    trackTensor.call(tracker, tensor, backend);
    peak = Math.max(peak, memory().numBytes - before);
  };
  try {
    work();
  } finally {
    if (own) tracker.trackTensor = trackTensor;
    else delete (tracker as { trackTensor?: unknown }).trackTensor;
  }
  return peak;
}
