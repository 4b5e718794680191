// Trains a model of four numbers on WebGPU and, after two steps, brings about what the argument says: `lost` destroys the
// device, `large` asks for a tensor that no buffer holds. Prints what came of it as JSON.
import {
  engine,
  fill,
  mean,
  mul,
  type Scalar,
  slice,
  square,
  sub,
  sum,
  tensor1d,
  tidy,
  train,
  variable,
} from '@tensorflow/tfjs-core';
import { deviceTensorBytes, selectBackend } from '../../src/backend.js';
import { trainingSteps } from '../../src/training/steps.js';

const [trouble] = process.argv.slice(2);

async function print(outcome: object): Promise<never> {
  await new Promise(resolve => process.stdout.write(`\n${JSON.stringify(outcome)}\n`, resolve));
  // The threads of the driver would keep the process alive.
  process.exit(0);
}

try {
  await selectBackend('webgpu');
} catch (error) {
  await print({ unavailable: (error as Error).message });
}
// tfjs prints what the device says; Dawn does, too, on standard output.
console.error = () => {};
const weights = variable(tensor1d([1, 2, 3, 4]), true, 'w');
const losses: number[] = [];
const loss = (batch: number): Scalar =>
  tidy(() => {
    const cost = mean(square(sub(weights, batch))) as Scalar;
    if (trouble !== 'large' || losses.length < 2) return cost;
    const large = fill([deviceTensorBytes()! / 4 + 1024], 1);
    return mul(cost, sum(slice(large, [0], [4]))) as Scalar;
  });
const run = { model: { parameters: () => ({ w: weights }), loss }, data: { trainBatch: () => 0 }, steps: 6 };
try {
  for await (const step of trainingSteps({ ...run, optimizer: train.sgd(0.1) })) {
    losses.push(step.loss);
    if (trouble === 'lost' && losses.length === 2) {
      (engine().backend as unknown as { device: { destroy(): void } }).device.destroy();
    }
  }
  await print({ losses });
} catch (error) {
  const { name, code, kind, message } = error as { name: string; code?: string; kind?: string; message: string };
  await print({ name, code, kind, message, losses });
}
