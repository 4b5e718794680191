/**
 * node --conditions=source --import tsx packages/linalg/bench/leading-subspace.ts [TEXT_FILE] [REPETITIONS]
 *
 * Times the projectors' building blocks on the wasm backend with one 1024 x 1024 gradient, rank 256. Prints the
 * fastest and the median time: on a shared machine only the fastest is about the code.
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
import { counterNoise } from '@frugaljs/linalg/counter-noise';
import { createScriptKernels } from '@frugaljs/linalg/row-kernels';
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
import { realGradients } from './real-gradient.js';

const [textFile = '../shared/data/tinyshakespeare/input.txt.gz', repetitions = '15'] = process.argv.slice(2);
const RANK = 256;

await setBackend('wasm');
await ready();

function time(label: string, body: () => Tensor | undefined, note = ''): void {
  const times: number[] = [];
  for (let i = 0; i < Number(repetitions); i++) {
    const start = performance.now();
    const result = body();
    times.push(performance.now() - start);
    result?.dispose();
  }
  times.sort((a, b) => a - b);
  const median = times[times.length >> 1]!;
  console.log(`${label.padEnd(52)} ${times[0]!.toFixed(1).padStart(7)} ${median.toFixed(1).padStart(7)} ms  ${note}`);
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

console.log(`fastest and median of ${repetitions}`.padStart(73));
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
