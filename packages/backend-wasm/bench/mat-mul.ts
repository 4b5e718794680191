/**
 * Times `matMul` of tfjs's WASM backend with and without this package, in all four transpositions.
 *
 *     node --conditions=@frugaljs/source --import tsx packages/backend-wasm/bench/mat-mul.ts
 */
import { matMul, randomNormal, setBackend } from '@tensorflow/tfjs-core';
import { registerTrainingKernels, restoreTfjsKernels } from '../src/index.js';
import { processorTime, timed } from './durations.js';

interface Sizes {
  readonly batch: readonly number[];
  readonly rows: number;
  readonly depth: number;
  readonly columns: number;
}

const cases: readonly Sizes[] = [
  { batch: [], rows: 256, depth: 128, columns: 352 },
  { batch: [], rows: 256, depth: 512, columns: 128 },
  { batch: [], rows: 1024, depth: 512, columns: 512 },
  { batch: [16], rows: 64, depth: 32, columns: 64 },
  { batch: [16], rows: 64, depth: 64, columns: 32 },
  { batch: [], rows: 1, depth: 512, columns: 512 },
];
const transpositions = [
  [false, false],
  [false, true],
  [true, false],
  [true, true],
] as const;
const WARM_UP_SAMPLES = 3;
const SAMPLES = 9;
const WORK_PER_SAMPLE = 3e7;

await setBackend('wasm');

/** Microseconds of one product. */
function measure({ batch, rows, depth, columns }: Sizes, transposeA: boolean, transposeB: boolean): number {
  const a = randomNormal([...batch, ...(transposeA ? [depth, rows] : [rows, depth])], 0, 1, 'float32', 1);
  const b = randomNormal([...batch, ...(transposeB ? [columns, depth] : [depth, columns])], 0, 1, 'float32', 2);
  const work = batch.reduce((product, size) => product * size, rows * depth * columns);
  const repeats = Math.ceil(WORK_PER_SAMPLE / work);
  const sample = (): void => {
    for (let i = 0; i < repeats; i++) matMul(a, b, transposeA, transposeB).dispose();
  };
  for (let i = 0; i < WARM_UP_SAMPLES; i++) sample();
  const time = processorTime(Array.from({ length: SAMPLES }, () => timed(sample)));
  a.dispose();
  b.dispose();
  return (1000 * time) / repeats;
}

const rows = cases.map(sizes => {
  const { batch, rows, depth, columns } = sizes;
  const row: Record<string, string> = {
    product: `${batch.length > 0 ? `${batch} × ` : ''}${rows}×${depth}·${depth}×${columns}`,
  };
  for (const [transposeA, transposeB] of transpositions) {
    restoreTfjsKernels();
    const before = measure(sizes, transposeA, transposeB);
    registerTrainingKernels();
    const after = measure(sizes, transposeA, transposeB);
    row[`a${transposeA ? 'ᵀ' : ''} b${transposeB ? 'ᵀ' : ''}`] = `${before.toFixed(0)} → ${after.toFixed(0)}`;
  }
  return row;
});
console.log(`CPU µs per product, tfjs → @frugaljs/backend-wasm, Node ${process.version}`);
console.table(rows);
