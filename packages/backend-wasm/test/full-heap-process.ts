// A full heap in a process of its own, which takes 4 GiB of addresses. The argument says how this package comes in; the
// process prints what became of the operations that had no room, as JSON.
import '@tensorflow/tfjs-backend-wasm';
import { OutOfMemoryError } from '@frugaljs/core/errors';
import {
  add,
  backend,
  engine,
  matMul,
  memory,
  ones,
  registerBackend,
  removeBackend,
  setBackend,
  type Tensor,
  tensor,
} from '@tensorflow/tfjs-core';

interface Allocator {
  readonly HEAPU8: Uint8Array;
  _malloc(bytes: number): number;
  _free(offset: number): void;
}

/** What is printed. */
export interface Printed {
  /** Of each operation: its error, or where its result was put. */
  readonly outcomes: Readonly<Record<string, string>>;
  /** Whether the errors were OutOfMemoryErrors of the wasm heap. */
  readonly typed: boolean;
  /** Whether the blocks that the allocator handed out lie in the heap and share nothing. */
  readonly apart: boolean;
  /** Whether the tensors that were there before have the values they had. */
  readonly intact: boolean;
  /** Tensors more than before. */
  readonly left: number;
  /** Whether there was room again afterwards, and what was computed then was right. */
  readonly recovered: boolean;
}

/** How the package comes in, and how the backend starts. */
const WAYS: Readonly<Record<string, () => Promise<unknown>>> = {
  'imported before the backend starts': async () => {
    await import('../src/index.js');
    await setBackend('wasm');
  },
  'imported while the backend runs': async () => {
    await setBackend('wasm');
    ones([3]).dispose();
    await import('../src/index.js');
  },
  'imported while the backend starts': async () => {
    const started = setBackend('wasm');
    await Promise.all([import('../src/index.js'), started]);
  },
  'a second backend': async () => {
    await import('../src/index.js');
    await setBackend('wasm');
    const { factory } = engine().registryFactory['wasm']!;
    removeBackend('wasm');
    registerBackend('wasm', factory);
    await setBackend('wasm');
  },
  'the guard alone': async () => {
    await setBackend('wasm');
    (await import('../src/heap-guard.js')).guardWasmHeap();
  },
  'no guard': () => setBackend('wasm'),
};

interface Block {
  readonly offset: number;
  readonly bytes: number;
}

/** Takes all there is, in pieces that get smaller; nothing touches the pages, so that the machine need not have them. */
function fill(wasm: Allocator, largest: number): Block[] {
  const held: Block[] = [];
  const take = (bytes: number): boolean => {
    try {
      const offset = wasm._malloc(bytes) >>> 0;
      if (offset !== 0) held.push({ offset, bytes });
      return offset !== 0;
    } catch (error) {
      if (error instanceof OutOfMemoryError) return false;
      throw error;
    }
  };
  for (let bytes = largest; bytes >= 4096; bytes /= 2) while (take(bytes));
  return held;
}

/** Whether blocks lie in the heap, one behind the other. */
function areApart(blocks: readonly Block[], heapBytes: number): boolean {
  const sorted = [...blocks].sort((a, b) => a.offset - b.offset);
  return sorted.every(({ offset, bytes }, i) => offset + bytes <= (sorted[i + 1]?.offset ?? heapBytes));
}

function release(wasm: Allocator, blocks: readonly Block[]): void {
  for (const { offset } of blocks) wasm._free(offset);
}

const way = process.argv[2]!;
await WAYS[way]!();
const { wasm } = backend() as unknown as { wasm: Allocator };
const values = Float32Array.from({ length: 2 ** 18 }, (_, i) => i);
const x: Tensor = tensor(values.slice(), [512, 512]);
const before = memory().numTensors;
let apart = true;
for (const largest of way === 'no guard' ? [] : [2 ** 29, 0.75 * 2 ** 30, 2 ** 30 - 2 ** 16]) {
  const blocks = fill(wasm, largest);
  apart &&= areApart(blocks, wasm.HEAPU8.length);
  release(wasm, blocks);
}
const held = fill(wasm, 2 ** 30);
apart &&= areApart(held, wasm.HEAPU8.length);
let typed = true;

function outcomeOf(run: () => Tensor): string {
  try {
    const records = backend() as unknown as { dataIdMap: { get(id: object): { memoryOffset: number } } };
    return `put at ${records.dataIdMap.get(run().dataId).memoryOffset}`;
  } catch (error) {
    typed &&= error instanceof OutOfMemoryError && error.kind === 'wasm-heap';
    return String(error);
  }
}

if (way === 'no guard') while (wasm._malloc(2 ** 20) !== 0);
const outcomes: Record<string, string> = { tensor: outcomeOf(() => tensor(new Float32Array(2 ** 18))) };
if (way === 'no guard') {
  // The allocator's own records lie under that tensor: what comes next may do anything.
  console.log(JSON.stringify({ outcomes, apart }));
  process.exit();
}
outcomes['add'] = outcomeOf(() => add(x, x));
outcomes['matMul'] = outcomeOf(() => matMul(x, x));
// Modulo 2³² that is a request for 128 KiB, which the allocator would grant once there is room.
const left = memory().numTensors - before;
release(wasm, held);
outcomes['more than there are addresses'] = outcomeOf(() => {
  wasm._malloc(2 ** 32 + 2 ** 17);
  return x;
});
const intact = x.dataSync().every((value, i) => value === values[i]);
const sums = add(x, x).dataSync();
const recovered = sums.every((value, i) => value === 2 * values[i]!);
console.log(JSON.stringify({ outcomes, typed, apart, intact, left, recovered } satisfies Printed));
