/**
 * Times forward and backward pass of a small LLaMA on tfjs's WASM backend, with and without this package, all in one
 * run, and prints where the time goes.
 *
 *     node --conditions=@frugaljs/source --import tsx packages/backend-wasm/bench/training-step.ts [rounds]
 */
import '@tensorflow/tfjs-layers';
import { dispose, setBackend, type Tensor1D, tensor1d, tidy, variableGrads } from '@tensorflow/tfjs-core';
import { restoreTfjsKernels } from '../src/index.js';
import { type Duration, processorTime, timed } from './durations.js';
import { profileKernels } from './kernel-profile.js';
import { kernelSets } from './kernel-sets.js';
import { createLlama, type LlamaSizes } from './llama.js';

const sizes: LlamaSizes = { layers: 2, width: 128, heads: 4, hidden: 352, vocabulary: 512, batch: 4, length: 64 };
const WARM_UP_STEPS = 3;
const STEPS_PER_ROUND = 5;
const PROFILED_STEPS = 20;
const PROFILE_LINES = 12;
const rounds = Number(process.argv[2] ?? 8);

await setBackend('wasm');
restoreTfjsKernels();
const model = createLlama(sizes);
const count = sizes.batch * sizes.length;
const tokensFrom = (start: number): Tensor1D =>
  tensor1d(
    Array.from({ length: count }, (_, i) => (i * 37 + start) % sizes.vocabulary),
    'int32',
  );
const tokens = tokensFrom(0);
const targets = tokensFrom(37);

// Reading the loss back makes sure that the work is done.
const forward = (): number => tidy(() => model.loss(tokens, targets).dataSync()[0]!);
const forwardAndBackward = (): number => {
  const { value, grads } = variableGrads(() => model.loss(tokens, targets), model.variables);
  const loss = value.dataSync()[0]!;
  dispose([value, grads]);
  return loss;
};

const results = kernelSets.map(set => ({ set, loss: 0, forward: [] as Duration[], both: [] as Duration[] }));
for (let round = 0; round < rounds; round++) {
  // Alternating, so that a slow minute of the machine hits all alike.
  for (const result of results) {
    const restore = result.set.install();
    for (let i = 0; i < WARM_UP_STEPS; i++) result.loss = forwardAndBackward();
    for (let i = 0; i < STEPS_PER_ROUND; i++) {
      result.forward.push(timed(forward));
      result.both.push(timed(forwardAndBackward));
    }
    restore();
  }
}

const reference = processorTime(results[0]!.both);
console.log(`LLaMA ${JSON.stringify(sizes)}, Node ${process.version}, ${rounds * STEPS_PER_ROUND} steps each`);
console.table(
  results.map(({ set, loss, forward, both }) => ({
    kernels: set.name,
    'forward, CPU ms': processorTime(forward).toFixed(1),
    'forward + backward, CPU ms': processorTime(both).toFixed(1),
    'wall, fastest ms': Math.min(...both.map(({ wall }) => wall)).toFixed(1),
    'speedup, CPU': (reference / processorTime(both)).toFixed(1),
    loss: loss.toFixed(5),
  })),
);

for (const set of kernelSets) {
  const restore = set.install();
  const profile = profileKernels(() => {
    for (let i = 0; i < PROFILED_STEPS; i++) forwardAndBackward();
  });
  restore();
  console.log(`\nSlowest kernels of one step with ${set.name}`);
  console.table(
    profile.slice(0, PROFILE_LINES).map(({ kernel, milliseconds, calls }) => ({
      kernel,
      'ms per step': (milliseconds / PROFILED_STEPS).toFixed(2),
      'calls per step': calls / PROFILED_STEPS,
      'µs per call': ((1000 * milliseconds) / calls).toFixed(0),
    })),
  );
}
