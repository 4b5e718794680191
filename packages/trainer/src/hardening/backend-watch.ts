import { guardWasmHeap } from '@frugaljs/backend-wasm/heap-guard';
import { type KernelBackend, backend as tfjsBackend } from '@tensorflow/tfjs-core';
import { deviceLost, explainFailure, outOfMemory } from './failure-kind.js';

/** What a backend did not throw but should have. */
export interface BackendWatch {
  /** @throws OutOfMemoryError or DeviceLostError if something happened since the watch began. */
  throwFailure(): void;
  /** What an error of the backend means: what happened before it, if anything did, else what it says itself. */
  explain(error: unknown): unknown;
  stop(): void;
}

/** The part of a GPUDevice that tells about failures; a type of our own, as not every platform has WebGPU's. */
interface Device {
  readonly lost?: Promise<{ readonly reason?: string; readonly message?: string }>;
  addEventListener?(type: 'uncapturederror', listener: (event: UncapturedError) => void): void;
  removeEventListener?(type: 'uncapturederror', listener: (event: UncapturedError) => void): void;
}

interface UncapturedError {
  readonly error: { readonly message: string; readonly constructor: { readonly name: string } };
}

/**
 * Watches the current backend for failures that it reports beside the code that caused them. A GPU that cannot allocate a
 * buffer hands out an invalid one, and reading what was computed with it gives zeros; wasm's allocator hands out address 0.
 */
export function watchBackend(): BackendWatch {
  guardWasmHeap();
  const { device } = tfjsBackend() as KernelBackend & { readonly device?: Device };
  let failure: Error | null = null;
  if (device === undefined) return { throwFailure: () => {}, explain: explainFailure, stop: () => {} };

  let stopped = false;
  const onError = ({ error }: UncapturedError): void => {
    const { name } = error.constructor;
    if (failure !== null) return;
    const cause = Object.assign(new Error(error.message), { name });
    // A buffer too large for the device is a validation error to WebGPU, and want of memory to whoever asked for it.
    const isMemory = name === 'GPUOutOfMemoryError' || /maxBufferSize|max buffer size|BindingSize/i.test(error.message);
    failure = isMemory ? outOfMemory('gpu', cause) : cause;
  };
  device.addEventListener?.('uncapturederror', onError);
  device.lost?.then(({ reason = '', message = '' }) => {
    if (!stopped) failure = deviceLost(message || reason);
  });
  return {
    throwFailure: () => {
      if (failure !== null) throw failure;
    },
    explain: error => failure ?? explainFailure(error),
    stop: () => {
      stopped = true;
      device.removeEventListener?.('uncapturederror', onError);
    },
  };
}
