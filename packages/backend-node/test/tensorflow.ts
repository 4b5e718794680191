import '@frugaljs/backend-node';
import '@tensorflow/tfjs-layers';
import { loadTensorFlow } from '@frugaljs/backend-node';
import { engine, env, setBackend } from '@tensorflow/tfjs-core';

/** Why the tests of this package cannot run here; `null` when they can. */
export const missing: string | null = await loadTensorFlow().then(
  () => null,
  (error: Error) => error.message,
);

if (missing !== null) {
  console.log(`Skipped: ${missing} For development, node tools/tensorflow/prepare.mjs builds one from PyPI and npm.`);
}

export async function useTensorFlow(): Promise<void> {
  env().set('PROD', true);
  await setBackend('tensorflow');
}

/** The native part of tfjs-node. */
interface Binding {
  executeOp(name: string, attributes: object[], inputs: number[], outputs: number): object[];
  createTensor(shape: number[], dtype: number, values: ArrayLike<number>): number;
  tensorDataSync(id: number): ArrayLike<number>;
  getNumOfTensors(): number;
}

interface NodeBackend {
  binding: Binding;
}

/** How many handles TensorFlow has given out, tfjs's own included. */
export function handles(): number {
  return (engine().backend as unknown as NodeBackend).binding.getNumOfTensors();
}

/** What went through the binding during some work. */
export interface Traffic {
  /** Names of the operations, in order. */
  readonly operations: readonly string[];
  /** Numbers handed to TensorFlow, of the largest tensor. */
  readonly largestUpload: number;
  /** Tensors read back. */
  readonly reads: number;
}

export function watch(work: () => void): Traffic {
  const backend = engine().backend as unknown as NodeBackend;
  const native = backend.binding;
  const operations: string[] = [];
  let largestUpload = 0;
  let reads = 0;
  const watched: Partial<Binding> = {
    executeOp: (name, ...rest) => {
      operations.push(name);
      return native.executeOp(name, ...rest);
    },
    createTensor: (shape, dtype, values) => {
      largestUpload = Math.max(largestUpload, values.length);
      return native.createTensor(shape, dtype, values);
    },
    tensorDataSync: id => {
      reads += 1;
      return native.tensorDataSync(id);
    },
  };
  // Its members are read-only: it is replaced as a whole.
  backend.binding = new Proxy({} as Binding, {
    get: (_, name) => watched[name as keyof Binding] ?? native[name as keyof Binding],
  });
  try {
    work();
  } finally {
    backend.binding = native;
  }
  return { operations, largestUpload, reads };
}
