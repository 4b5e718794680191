// Time of a loss and of a loss with all gradients.
//   node --conditions=@frugaljs/source --import tsx packages/llama/bench/step.ts [preset] [batch] [length] [wasm|cpu]
import '@tensorflow/tfjs-layers';
import '@tensorflow/tfjs-backend-cpu';
import '@frugaljs/backend-wasm';
import { dispose, profile, setBackend, type TensorContainer, variableGrads } from '@tensorflow/tfjs-core';
import { defaultPreset, LlamaForCausalLM, parameterCount, preset } from '../src/index.js';

const [name = defaultPreset, batch = '4', length = '64', backend = 'wasm'] = process.argv.slice(2);
const REPEATS = 21;

await setBackend(backend);
const model = new LlamaForCausalLM(preset(name));
const shape = [Number(batch), Number(length) + 1] as const;
const data = Int32Array.from({ length: shape[0] * shape[1] }, (_, i) => (i * 7919) % model.config.vocab_size);
const tokens = { data, shape };

function forward(): void {
  const loss = model.loss(tokens);
  loss.dataSync();
  loss.dispose();
}

function withGradients(): void {
  const { value, grads } = variableGrads(() => model.loss(tokens));
  value.dataSync();
  dispose([value, ...Object.values(grads)]);
}

/** Quartiles of the milliseconds of a run. */
function time(run: () => void): string {
  for (let i = 0; i < 3; i++) run();
  const times = Array.from({ length: REPEATS }, () => {
    const start = performance.now();
    run();
    return performance.now() - start;
  }).sort((a, b) => a - b);
  const at = (share: number): string => times[Math.floor(share * (REPEATS - 1))]!.toFixed(1);
  return `${at(0.5)} ms (quartiles ${at(0.25)} to ${at(0.75)})`;
}

console.log(`${name}, ${parameterCount(model.config).total} parameters, batch ${batch} x ${length}, ${backend}`);
console.log(`loss: ${time(forward)}`);
console.log(`loss and gradients: ${time(withGradients)}`);
const { peakBytes } = await profile(() => {
  withGradients();
  return [] as TensorContainer;
});
console.log(`peak of all tensors: ${(peakBytes / 2 ** 20).toFixed(0)} MiB`);
