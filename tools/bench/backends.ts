import { engine, env, getBackend, type KernelBackend, ready, setBackend, type Tensor } from '@tensorflow/tfjs-core';
import { UsageError } from './usage-error.js';

/** What the benchmarks need to know of a tfjs backend. */
interface BackendProbe {
  load(): Promise<unknown>;
  /** Copies the memory of one tensor over that of another of the same size, as fast as the backend's memory allows. */
  copy(from: Tensor, to: Tensor): void;
}

interface WasmBackend extends KernelBackend {
  readonly wasm: { readonly HEAPU8: Uint8Array };
  getMemoryOffset(dataId: object): number;
}

interface CpuBackend extends KernelBackend {
  readonly data: { get(dataId: object): { readonly values: Float32Array } };
}

const BACKENDS = {
  wasm: {
    load: () => import('@frugaljs/backend-wasm'),
    copy: (from, to) => {
      const backend = engine().backend as WasmBackend;
      const start = backend.getMemoryOffset(from.dataId);
      backend.wasm.HEAPU8.copyWithin(backend.getMemoryOffset(to.dataId), start, start + 4 * from.size);
    },
  },
  cpu: {
    load: () => Promise.all([import('@tensorflow/tfjs-backend-cpu'), import('@frugaljs/backend-wasm/cpu')]),
    copy: (from, to) => {
      const { data } = engine().backend as CpuBackend;
      data.get(to.dataId).values.set(data.get(from.dataId).values);
    },
  },
} satisfies Record<string, BackendProbe>;

export type BackendName = keyof typeof BACKENDS;

export const BACKEND_NAMES: readonly BackendName[] = Object.keys(BACKENDS) as BackendName[];

/** Makes a backend the current one, with the project's kernels for it. */
export async function startBackend(name: BackendName): Promise<void> {
  // Without this the cpu backend advertises tfjs-node on standard error.
  env().set('PROD', true);
  await BACKENDS[name].load();
  await setBackend(name);
  await ready();
  if (getBackend() !== name) throw new UsageError(`--backend: ${name} did not start on this machine`);
}

/** Copies the memory of tensors on the current backend. */
export function copyMemory(name: BackendName, from: readonly Tensor[], to: readonly Tensor[]): void {
  const { copy } = BACKENDS[name];
  for (const [i, tensor] of from.entries()) copy(tensor, to[i]!);
}
