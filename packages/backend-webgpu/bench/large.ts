// One optimizer step on many parameters, against what the device's memory gives when buffers are copied.
//
//   node --conditions=@frugaljs/source --import tsx packages/backend-webgpu/bench/large.ts [--params 1e8] [--side 2048] [--rounds 20]
//
// Or packed into a folder by pack.ts, for a machine without this repository.
import { parseArgs } from 'node:util';
import { type ComposedOptimizer, compose, residual, subspace } from '@frugaljs/composer';
import type { Projector, Rule } from '@frugaljs/core';
import { blockwise, columns, randK, rows } from '@frugaljs/projectors';
import { signSgd } from '@frugaljs/state-free';
import { adamW, lion } from '@frugaljs/state-full';
import {
  dispose,
  engine,
  env,
  fill,
  mul,
  randomNormal,
  type Tensor,
  tidy,
  type Variable,
  variable,
} from '@tensorflow/tfjs-core';
import { installWebGpu, startWebGpu, tensorDevice } from '../src/node/index.js';

const { values: options } = parseArgs({
  options: {
    params: { type: 'string', default: '1e8' },
    side: { type: 'string', default: '2048' },
    rounds: { type: 'string', default: '20' },
  },
});
const [side, rounds] = [Number(options.side), Number(options.rounds)];
const matrices = Math.max(1, Math.round(Number(options.params) / side ** 2));
const params = matrices * side ** 2;

/** Steps before measuring: kernels are compiled and state is made. */
const WARM_UP = 3;
/** Steps that are handed to the device together: the time from the call to the device is measured once for all. */
const TOGETHER = 5;

const frugal = (projector: Projector): Rule =>
  subspace({ projector, rule: adamW(), combine: residual(signSgd()), refresh: { every: 1e9 } });

const METHODS: Readonly<Record<string, () => Rule>> = {
  adamW: () => adamW(),
  lion: () => lion(),
  signSgd: () => signSgd(),
  'frugal-blockwise': () => frugal(blockwise({ density: 0.25 })),
  'frugal-rows': () => frugal(rows({ density: 0.25 })),
  'frugal-columns': () => frugal(columns({ density: 0.25 })),
  'frugal-randK': () => frugal(randK({ density: 0.25 })),
};

env().set('PROD', true);
const adapter = await installWebGpu();
await startWebGpu();
const device = tensorDevice(engine().backend);
console.log(
  `${adapter}; ${matrices} matrices of ${side} × ${side}, ${params} parameters, ${rounds} rounds, Node ${process.version}`,
);

const gradients = Array.from({ length: matrices }, (_, i) =>
  tidy(() => mul(randomNormal([side, side], 0, 1, 'float32', i + 1), 1)),
);

async function median(work: () => void, counted: number): Promise<number> {
  for (let i = 0; i < WARM_UP; i++) work();
  await device.finished();
  const samples: number[] = [];
  for (let round = 0; round < rounds; round++) {
    const start = performance.now();
    for (let i = 0; i < counted; i++) work();
    await device.finished();
    samples.push((performance.now() - start) / counted);
  }
  samples.sort((a, b) => a - b);
  return samples[samples.length >> 1]!;
}

function variables(method: string): Variable[] {
  return gradients.map((_, i) => tidy(() => variable(fill([side, side], 0.02), true, `${method}/layers.${i}.weight`)));
}

/** Copies as many bytes as a step of AdamW reads and writes, from buffers to buffers. */
async function copyBandwidth(): Promise<number> {
  const to: Tensor[] = gradients.map(g => mul(g, 1));
  const ms = await median(() => {
    for (const [i, g] of gradients.entries()) device.copy(g, to[i]!);
  }, TOGETHER);
  dispose(to);
  return (8 * params) / ms / 1e6;
}

/** Bytes that a step reads and writes at the least: parameter, gradient and parameter again, state twice, index lists. */
function bytesOf(optimizer: ComposedOptimizer, trained: readonly Variable[]): number {
  const state = optimizer.memoryReport(trained).reduce((sum, row) => sum + 2 * row.slotBytes + row.basisBytes, 0);
  return 12 * params + state;
}

const copied = await copyBandwidth();
console.log(`copy: ${copied.toFixed(1)} GB/s, read and write together\n`);
console.log('| method | check | ms | GB/s | of copy |\n| --- | --- | --: | --: | --: |');
for (const [method, rule] of Object.entries(METHODS)) {
  for (const onNonFinite of ['ignore', 'throw'] as const) {
    const trained = variables(`${method} ${onNonFinite}`);
    const optimizer = compose({ learningRate: 1e-6, groups: [{ use: rule() }], onNonFinite });
    const named = Object.fromEntries(trained.map(({ name }, i) => [name, gradients[i]!]));
    const ms = await median(() => optimizer.applyGradients(named), TOGETHER);
    // The check reads every gradient once more.
    const bytes = bytesOf(optimizer, trained) + (onNonFinite === 'throw' ? 4 * params : 0);
    const rate = bytes / ms / 1e6;
    const row = [method, onNonFinite, ms.toFixed(2), rate.toFixed(1), `${((100 * rate) / copied).toFixed(0)} %`];
    console.log(`| ${row.join(' | ')} |`);
    await optimizer.settled();
    optimizer.dispose();
    dispose(trained);
  }
}
process.exit(0);
