import type { TensorDevice } from '@frugaljs/backend-webgpu';
import { engine, env, getBackend, type KernelBackend, ready, setBackend, type Tensor } from '@tensorflow/tfjs-core';

/** What the benchmarks need to know of a tfjs backend. */
interface BackendProbe {
  load(): Promise<unknown>;
  /** Copies the memory of one tensor over that of another of the same size, as fast as the backend's memory allows. */
  copy(from: Tensor, to: Tensor): void;
  /** Resolves when the backend has done what it was asked for, where that goes on after the call. */
  finished?(): Promise<void>;
}

interface WasmBackend extends KernelBackend {
  readonly wasm: { readonly HEAPU8: Uint8Array };
  getMemoryOffset(dataId: object): number;
}

interface CpuBackend extends KernelBackend {
  readonly data: { get(dataId: object): { readonly values: Float32Array } };
}

interface NodeBackend extends KernelBackend {
  readonly binding: {
    readonly TF_ATTR_TYPE: number;
    readonly TF_FLOAT: number;
    executeOp(
      name: string,
      attributes: readonly object[],
      inputs: readonly number[],
      outputs: number,
    ): { id: number }[];
    deleteTensor(id: number): void;
  };
  readonly tensorMap: { get(dataId: object): { id: number } };
}

let device: TensorDevice | null = null;

/** The device of the backend webgpu; its package is loaded only when that backend is. */
function webGpu(): TensorDevice {
  if (device === null) throw new Error('the backend webgpu has not been started');
  return device;
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
  webgpu: {
    load: () => import('@frugaljs/backend-webgpu/node'),
    copy: (from, to) => webGpu().copy(from, to),
    finished: () => webGpu().finished(),
  },
  tensorflow: {
    load: async () => (await import('@frugaljs/backend-node')).loadTensorFlow(),
    copy: (from, to) => {
      // TensorFlow offers no copy into a tensor that is there: the new one takes the place of the old.
      const { binding, tensorMap } = engine().backend as NodeBackend;
      const target = tensorMap.get(to.dataId);
      const type = { name: 'T', type: binding.TF_ATTR_TYPE, value: binding.TF_FLOAT };
      const [copied] = binding.executeOp('DeepCopy', [type], [tensorMap.get(from.dataId).id], 1);
      binding.deleteTensor(target.id);
      target.id = copied!.id;
    },
  },
} satisfies Record<string, BackendProbe>;

export type BackendName = keyof typeof BACKENDS;

export const BACKEND_NAMES: readonly BackendName[] = Object.keys(BACKENDS) as BackendName[];

/** Those that need no driver. */
export const DEFAULT_BACKENDS: readonly BackendName[] = ['wasm', 'cpu'];

/** Makes a backend the current one, with the project's kernels for it. */
export async function startBackend(name: BackendName): Promise<void> {
  // Without this the cpu backend advertises tfjs-node on standard error.
  env().set('PROD', true);
  await BACKENDS[name].load();
  await setBackend(name);
  await ready();
  if (getBackend() !== name) throw new UsageError(`--backend: ${name} did not start on this machine`);
  if (name === 'webgpu') device = (await import('@frugaljs/backend-webgpu')).tensorDevice(engine().backend);
}

/** Why products of large matrices are slow on the current backend; null where they are not. */
export function slownessOfProducts(name: BackendName): string | null {
  if (name === 'cpu') return 'multiplies matrices in JavaScript';
  return name === 'webgpu' && webGpu().isSoftware ? 'computes in software' : null;
}

/** A stopwatch that also waits for what a backend still has to do, before the work and after it. */
export function stopwatchFor(name: BackendName, clock: ClockName): (work: () => void) => number | Promise<number> {
  const { finished } = BACKENDS[name] as BackendProbe;
  if (finished === undefined) return stopwatch(clock);
  const now = CLOCKS[clock];
  return async work => {
    await finished();
    const start = now();
    work();
    await finished();
    return now() - start;
  };
}

/** Copies the memory of tensors on the current backend. */
export function copyMemory(name: BackendName, from: readonly Tensor[], to: readonly Tensor[]): void {
  const { copy } = BACKENDS[name];
  for (const [i, tensor] of from.entries()) copy(tensor, to[i]!);
}

/**
 * Clocks in milliseconds. `cpu` is the time of this process on a processor: on a machine that others use at the same
 * time it leaves out the time spent waiting for one (but not what others do to the caches).
 */
const CLOCKS = {
  wall: (): number => performance.now(),
  cpu: (): number => {
    const { user, system } = process.cpuUsage();
    return (user + system) / 1000;
  },
} as const;

export type ClockName = keyof typeof CLOCKS;

export const CLOCK_NAMES: readonly ClockName[] = Object.keys(CLOCKS) as ClockName[];

/** How long work takes on a clock, in milliseconds. */
function stopwatch(clock: ClockName): (work: () => void) => number {
  const now = CLOCKS[clock];
  return work => {
    const start = now();
    work();
    return now() - start;
  };
}

/** Something is wrong with what was asked for. */
export class UsageError extends Error {}
