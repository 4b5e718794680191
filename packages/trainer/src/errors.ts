import { guardWasmHeap, wasmHeapBytes } from '@frugaljs/backend-wasm/heap-guard';
import { type Complaint, DeviceLostError, FrugalError, type MemoryKind, OutOfMemoryError } from '@frugaljs/core';
import { getBackend, type KernelBackend, backend as tfjsBackend } from '@tensorflow/tfjs-core';

/** The loss exploded or gradients stayed infinite, and nothing that was allowed against it helped. */
export class DivergedError extends FrugalError {
  constructor(complaint: Complaint, cause?: unknown) {
    super('diverged', complaint, cause);
    this.name = 'DivergedError';
  }
}

/** A heap this large has no more than a large tensor's room left: what breaks in it broke for want of memory. */
const NEARLY_FULL = 3.5 * 2 ** 30;

/** How backends and engines say that memory ran out. */
const EXHAUSTED: readonly (readonly [MemoryKind, RegExp])[] = [
  ['wasm-heap', /cannot enlarge memory|wasm memory.*(grow|allocat)|memory\.grow/i],
  ['native', /OOM when allocating|RESOURCE_?EXHAUSTED|std::bad_alloc|failed to allocate memory/i],
  [
    'gpu',
    /GPUOutOfMemory|out of (device |gpu )?memory|VK_ERROR_OUT_OF|max(StorageBufferBinding|Buffer)Size|larger than the maximum (storage )?(buffer|binding) size/i,
  ],
  ['host', /array buffer allocation failed|invalid (typed )?array (buffer )?length: \d{10,}/i],
];

const LOST = /device (is|was) (lost|destroyed)|lost.*GPUDevice|GPUDevice.*lost|context lost/i;

/**
 * An error of a backend as what it means: OutOfMemoryError or DeviceLostError, with the original as its cause; any
 * other error as it is.
 */
export function explainFailure(error: unknown): unknown {
  if (!(error instanceof Error) || error instanceof FrugalError) return error;
  const said = `${error.name}: ${error.message}`;
  if (LOST.test(said)) return deviceLost(error.message, error);
  const [kind] = EXHAUSTED.find(([, pattern]) => pattern.test(said)) ?? [];
  if (kind !== undefined) return outOfMemory(kind, error);
  // Code that was compiled to wasm does not say why it stops.
  const stopped = error instanceof WebAssembly.RuntimeError || /^Aborted\(/.test(error.message);
  return stopped && (wasmHeapBytes() ?? 0) >= NEARLY_FULL ? outOfMemory('wasm-heap', error) : error;
}

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

/** A lost device as an error. */
function deviceLost(reason: string, cause?: unknown): DeviceLostError {
  return new DeviceLostError(
    {
      parameter: `backend ${getBackend()}`,
      found: `a device that is gone (${oneLine(reason) || 'no reason given'})`,
      expected: 'a device that answers',
      advice: 'Its tensors are gone with it: start again from the last checkpoint, in a new process or page.',
    },
    cause,
  );
}

/** An allocation that failed as an error. */
function outOfMemory(kind: MemoryKind, cause: Error): OutOfMemoryError {
  return new OutOfMemoryError(
    kind,
    {
      parameter: `memory of the ${getBackend()} backend`,
      found: oneLine(`${cause.name}: ${cause.message}`),
      expected: 'room for one more tensor',
    },
    cause,
  );
}

function oneLine(text: string): string {
  return text.trim().replace(/\s+/g, ' ').slice(0, 160).replace(/\.$/, '');
}
