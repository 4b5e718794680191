/**
 * node --conditions=@frugaljs/source --import tsx packages/linalg/bench/leading-subspace.ts [TEXT_FILE] [SECONDS]
 *
 * Times the projectors' building blocks on the wasm backend with one 1024 x 1024 gradient, rank 256. On a shared
 * machine other processes take the core away, so every sample stands between two probes (a small matMul) and counts
 * only if both took at most 15 % more than the fastest probe so far. Printed are the median of the samples that count,
 * their number, and the median of all; a case gets up to SECONDS (default 15).
 */
import '@tensorflow/tfjs-backend-wasm';
import {
  leadingSubspace,
  newtonSchulz,
  orthonormalize,
  type SubspaceOptions,
  semiOrthonormal,
  symmetricEigen,
} from '@frugaljs/linalg';
import {
  matMul,
  ready,
  setBackend,
  square,
  sum,
  type Tensor,
  type Tensor2D,
  tensor2d,
  tidy,
  transpose,
} from '@tensorflow/tfjs-core';
import { counterNoise } from '../src/orthonormalize.js';
import { createScriptKernels } from '../src/row-kernels.js';
import { realGradients } from './real-gradient.js';

const [textFile = '../shared/data/tinyshakespeare/input.txt.gz', seconds = '15'] = process.argv.slice(2);
const RANK = 256;

await setBackend('wasm');
await ready();

const probeMatrix: Tensor2D = tensor2d(counterNoise(512 * 512, 2), [512, 512]);
let fastestProbe = Number.POSITIVE_INFINITY;

function probe(): number {
  const start = performance.now();
  matMul(probeMatrix, probeMatrix).dispose();
  const elapsed = performance.now() - start;
  fastestProbe = Math.min(fastestProbe, elapsed);
  return elapsed;
}

function time(label: string, body: () => Tensor | undefined, note = ''): void {
  const samples: { elapsed: number; probe: number }[] = [];
  const calm = (): number[] => samples.filter(s => s.probe <= 1.15 * fastestProbe).map(s => s.elapsed);
  const deadline = performance.now() + 1000 * Number(seconds);
  while (performance.now() < deadline && calm().length < 15) {
    const before = probe();
    const start = performance.now();
    const result = body();
    const elapsed = performance.now() - start;
    samples.push({ elapsed, probe: Math.max(before, probe()) });
    result?.dispose();
  }
  const kept = calm();
  const shown = (x: number[]): string => (x.length ? median(x).toFixed(1) : '-').padStart(8);
  console.log(
    `${label.padEnd(48)}${shown(kept)} ms  (${kept.length})${shown(samples.map(s => s.elapsed))} ms  ${note}`,
  );
}

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[values.length >> 1]!;
}

function energy(g: Tensor2D, basis: Tensor2D): number {
  const total = tidy(() => sum(square(matMul(g, basis))));
  const value = total.dataSync()[0]!;
  total.dispose();
  return value;
}

const [previousGradient, gradient] = realGradients(textFile, [20, 30]) as [Tensor2D, Tensor2D];
const noise = (m: number, n: number): Tensor2D => tensor2d(counterNoise(m * n, 1), [m, n]);
const thin = noise(1024, RANK);
const gram = tidy(() => matMul(transpose(thin), thin)).dataSync();

for (let i = 0; i < 30; i++) probe();
console.log('undisturbed median (samples), median of all'.padStart(90));
time('matMul 1024 x 1024 by 1024 x 256', () => matMul(gradient, thin));
time('symmetricEigen 256, SIMD kernels', () => void symmetricEigen(gram, RANK));
const kernels = createScriptKernels();
time('symmetricEigen 256, JavaScript kernels', () => void symmetricEigen(gram, RANK, { kernels }));
time('orthonormalize 1024 x 256, host', () => orthonormalize(thin));
time('orthonormalize 1024 x 256, device', () => orthonormalize(thin, { host: false }));
time('semiOrthonormal 1024 x 256', () => semiOrthonormal(thin));
time('newtonSchulz 1024 x 256', () => newtonSchulz(thin));

const exact = leadingSubspace(gradient, 'right', { rank: RANK, method: 'exact' });
const optimum = energy(gradient, exact);
const previous = leadingSubspace(previousGradient, 'right', { rank: RANK });
const share = (basis: Tensor2D): string => `${((100 * energy(gradient, basis)) / optimum).toFixed(2)} %`;
console.log(`\nenergy of the exact top ${RANK}: 100 %; of the previous basis: ${share(previous)}`);
const cases: Record<string, Omit<SubspaceOptions, 'rank'>> = {
  'leadingSubspace, warm, aligned (default)': { start: previous },
  'leadingSubspace, warm, not aligned': { start: previous, align: false },
  'leadingSubspace, cold, 1 iteration': { iterations: 1 },
  'leadingSubspace, cold, 2 iterations (default)': {},
};
for (const [label, options] of Object.entries(cases)) {
  const run = (): Tensor2D => leadingSubspace(gradient, 'right', { rank: RANK, ...options });
  time(
    label,
    run,
    tidy(() => share(run())),
  );
}
time('leadingSubspace, left side, warm, aligned', () =>
  leadingSubspace(gradient, 'left', { rank: RANK, start: previous }),
);
for (const [m, n, rank] of [
  [8, 6, 3],
  [128, 128, 32],
  [1024, 128, 32],
  [512, 512, 128],
] as const) {
  const g = noise(m, n);
  time(`leadingSubspace ${m} x ${n}, rank ${rank}, cold`, () => leadingSubspace(g, 'right', { rank }));
}
