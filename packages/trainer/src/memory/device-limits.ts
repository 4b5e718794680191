import { backend, type KernelBackend } from '@tensorflow/tfjs-core';

interface GpuBackend extends KernelBackend {
  readonly device?: {
    readonly limits?: { readonly maxStorageBufferBindingSize?: number; readonly maxBufferSize?: number };
  };
}

/**
 * The largest tensor that the current backend's device takes, in bytes: a tensor is one buffer, bound as a whole. Null on
 * a backend without such a limit.
 */
export function deviceTensorBytes(): number | null {
  const limits = (backend() as GpuBackend).device?.limits;
  if (limits === undefined) return null;
  const { maxStorageBufferBindingSize = Number.POSITIVE_INFINITY, maxBufferSize = Number.POSITIVE_INFINITY } = limits;
  const bytes = Math.min(maxStorageBufferBindingSize, maxBufferSize);
  return Number.isFinite(bytes) ? bytes : null;
}
