import { wasmHeapBytes } from '@frugaljs/backend-wasm/heap-guard';
import { DeviceLostError, FrugalError, type MemoryKind, OutOfMemoryError } from '@frugaljs/core';
import { getBackend } from '@tensorflow/tfjs-core';

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

/** A lost device as an error. */
export function deviceLost(reason: string, cause?: unknown): DeviceLostError {
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
export function outOfMemory(kind: MemoryKind, cause: Error): OutOfMemoryError {
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
