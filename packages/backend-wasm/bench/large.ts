/**
 * Takes FRUGAL steps (ρ = .25) on 2.56e8 parameters in matrices of 6.4e7 on tfjs's wasm backend, whose heap ends at
 * 4 GiB; `tf.train.adam` aborts there above 6e7 parameters.
 *
 * node --conditions=@frugaljs/source --import tsx packages/backend-wasm/bench/large.ts [rows|columns|randK|blockwise|tf.train.adam]
 */
import '@frugaljs/backend-wasm';
import { compose, residual, subspace } from '@frugaljs/composer';
import { blockwise, columns, randK, rows } from '@frugaljs/projectors';
import { signSgd } from '@frugaljs/state-free';
import { adamW } from '@frugaljs/state-full';
import { backend, fill, memory, setBackend, slice, tidy, train, variable } from '@tensorflow/tfjs-core';

const METHODS = { rows, columns, randK, blockwise };
const [SIDE, MATRICES, STEPS] = [8000, 4, 4];
const MIB = 2 ** 20;

const method = process.argv[2] ?? 'rows';
await setBackend('wasm');
const variables = Array.from({ length: MATRICES }, (_, i) =>
  tidy(() => variable(fill([SIDE, SIDE], 1 + i), true, `layers.${i}.weight`)),
);
const gradients = variables.map(({ name }, i) => ({ name, tensor: fill([SIDE, SIDE], 0.5 - i) }));
const heapBytes = (): number => (backend() as unknown as { wasm: { HEAPU8: Uint8Array } }).wasm.HEAPU8.length;

const optimizer =
  method === 'tf.train.adam'
    ? train.adam(1e-3)
    : compose({
        learningRate: 1e-3,
        groups: [
          {
            use: subspace({
              projector: METHODS[method as keyof typeof METHODS]({ density: 0.25 }),
              rule: adamW(),
              combine: residual(signSgd()),
              refresh: { every: 2 },
            }),
          },
        ],
      });
console.log(`${method}: ${MATRICES * SIDE * SIDE} parameters`);
for (let step = 1; step <= STEPS; step++) {
  const start = performance.now();
  optimizer.applyGradients(gradients);
  const milliseconds = Math.round(performance.now() - start);
  const first = variables.map(w => tidy(() => slice(w, [0, 0], [1, 1]).dataSync()[0]!.toFixed(4)));
  console.log(
    `step ${step}: ${milliseconds} ms, tensors ${Math.round(memory().numBytes / MIB)} MiB, heap ${Math.round(heapBytes() / MIB)} MiB, first weights ${first}`,
  );
}
