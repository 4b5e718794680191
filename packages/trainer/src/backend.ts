import { InvalidOptionError, UnknownNameError } from '@frugaljs/core';
import { env, getBackend, type KernelBackend, ready, setBackend, backend as tfjsBackend } from '@tensorflow/tfjs-core';

/** The tfjs backends that training can run on. */
export type BackendName = 'wasm' | 'cpu' | 'webgpu' | 'tensorflow';

/** What a backend can hold and how it updates parameters. */
export interface BackendLimits {
  /** All tensors together, in bytes; null where the machine is the limit. */
  readonly totalBytes: number | null;
  /** A single tensor, in bytes; null where the machine is the limit. */
  readonly tensorBytes: number | null;
  /** Whether the total is a budget rather than a limit of the backend. */
  readonly isBudget: boolean;
  /** What the limits are called in messages. */
  readonly total: string;
  readonly tensor: string;
  /**
   * How parameters are updated: by fused kernels `in-place`; `by-operations` of TensorFlow, each of which makes what it
   * computes; or by the `reference`, tfjs operations that also copy all gradients to look for NaN.
   */
  readonly updates: 'in-place' | 'by-operations' | 'reference';
}

const GIB = 2 ** 30;
const MIB = 2 ** 20;
const NO_LIMITS: BackendLimits = {
  totalBytes: null,
  tensorBytes: null,
  total: 'memory',
  tensor: 'tensor',
  isBudget: false,
  updates: 'in-place',
};

/**
 * How each backend is loaded, and its limits:
 *
 * - wasm: one heap of at most 4 GiB, of which an eighth is set aside for gaps between tensors of different sizes (7 % were
 *   measured) and for what tfjs itself keeps there.
 * - webgpu: a tensor is one storage binding, of 128 MiB unless the adapter offers more (`maxStorageBufferBindingSize`).
 */
const BACKENDS: Readonly<
  Record<BackendName, { readonly load: () => Promise<unknown>; readonly limits: BackendLimits }>
> = {
  wasm: {
    load: () => import('@frugaljs/backend-wasm'),
    limits: { ...NO_LIMITS, totalBytes: 3.5 * GIB, total: "wasm's heap of 4 GiB, less an eighth for gaps" },
  },
  cpu: {
    // The backend itself, and fused optimizer kernels for it.
    load: () => Promise.all([import('@tensorflow/tfjs-backend-cpu'), import('@frugaljs/backend-wasm/cpu')]),
    limits: NO_LIMITS,
  },
  webgpu: {
    load: () => import('@frugaljs/backend-webgpu/node'),
    limits: { ...NO_LIMITS, tensorBytes: 128 * MIB, tensor: "WebGPU's limit of a storage buffer binding" },
  },
  tensorflow: {
    load: async () => (await import('@frugaljs/backend-node')).loadTensorFlow(),
    limits: { ...NO_LIMITS, updates: 'by-operations' },
  },
};

/** The names {@link selectBackend} and {@link backendLimits} know, the default first. */
export const backendNames: readonly BackendName[] = Object.keys(BACKENDS) as BackendName[];

/**
 * Loads a tfjs backend, makes it the current one and registers tfjs's gradients, which tfjs-core alone does not have.
 *
 * @throws UnknownNameError for a name that is no backend, InvalidOptionError for one that cannot be had here, and what
 *   the package of a backend throws when it finds no adapter or no TensorFlow.
 */
export async function selectBackend(name: string): Promise<void> {
  const { load } = backendOf(name);
  // Without this the cpu backend advertises tfjs-node on standard error.
  env().set('PROD', true);
  await Promise.all([load(), registerGradients()]);
  const started = await setBackend(name);
  await ready();
  if (!started || getBackend() !== name) {
    throw new InvalidOptionError({
      parameter: 'backend',
      found: `${name}, which did not start`,
      expected: 'a backend that this machine can run',
      advice: `Try another one of ${backendNames.join(', ')}.`,
    });
  }
}

/** The layers package registers the gradients of all kernels as it loads; loading it again does nothing. */
export async function registerGradients(): Promise<void> {
  await import('@tensorflow/tfjs-layers');
}

/**
 * The limits of a backend, which need not be loaded for it.
 *
 * @param tensorBytes The largest tensor, where it is known: on webgpu the adapter's `maxStorageBufferBindingSize`.
 * @throws UnknownNameError for a name that is no backend.
 */
export function backendLimits(name: string, tensorBytes?: number): BackendLimits {
  const { limits } = backendOf(name);
  return tensorBytes === undefined ? limits : { ...limits, tensorBytes };
}

/**
 * The largest tensor that the current backend's device takes, in bytes: a tensor is one buffer, bound as a whole. Null on
 * a backend without such a limit.
 */
export function deviceTensorBytes(): number | null {
  const limits = (tfjsBackend() as GpuBackend).device?.limits;
  if (limits === undefined) return null;
  const { maxStorageBufferBindingSize = Number.POSITIVE_INFINITY, maxBufferSize = Number.POSITIVE_INFINITY } = limits;
  const bytes = Math.min(maxStorageBufferBindingSize, maxBufferSize);
  return Number.isFinite(bytes) ? bytes : null;
}

interface GpuBackend extends KernelBackend {
  readonly device?: {
    readonly limits?: { readonly maxStorageBufferBindingSize?: number; readonly maxBufferSize?: number };
  };
}

function backendOf(name: string): (typeof BACKENDS)[BackendName] {
  if (Object.hasOwn(BACKENDS, name)) return BACKENDS[name as BackendName];
  throw new UnknownNameError({ parameter: 'backend', found: name, expected: `one of ${backendNames.join(', ')}` });
}
