import { engine, type KernelBackend, memory } from '@tensorflow/tfjs-core';

/** The allocator of the tfjs wasm backend. */
interface Heap {
  _malloc(bytes: number): number;
  _free(offset: number): void;
}

/**
 * The most memory that work takes at any moment on top of what is in use before it. On the wasm backend every block that
 * JavaScript asks the heap for is counted: tensors and scratch memory (not what XNNPACK allocates by itself). On other
 * backends tensors are counted as tfjs counts them.
 */
export function peakBytes(work: () => void): number {
  const { wasm } = engine().backend as KernelBackend & { readonly wasm?: Heap };
  return wasm === undefined ? peakOfTensors(work) : peakOfHeap(wasm, work);
}

function peakOfHeap(heap: Heap, work: () => void): number {
  const { _malloc, _free } = heap;
  const sizes = new Map<number, number>();
  let inUse = 0;
  let peak = 0;
  heap._malloc = bytes => {
    const offset = _malloc(bytes);
    sizes.set(offset >>> 0, bytes);
    inUse += bytes;
    peak = Math.max(peak, inUse);
    return offset;
  };
  heap._free = offset => {
    // Blocks from before the work were in use then and do not count.
    inUse -= sizes.get(offset >>> 0) ?? 0;
    sizes.delete(offset >>> 0);
    _free(offset);
  };
  try {
    work();
  } finally {
    Object.assign(heap, { _malloc, _free });
  }
  return peak;
}

function peakOfTensors(work: () => void): number {
  const tracker = engine();
  const before = memory().numBytes;
  let peak = 0;
  const own = Object.hasOwn(tracker, 'trackTensor');
  const { trackTensor } = tracker;
  tracker.trackTensor = (tensor, backend) => {
    trackTensor.call(tracker, tensor, backend);
    peak = Math.max(peak, memory().numBytes - before);
  };
  try {
    work();
  } finally {
    if (own) tracker.trackTensor = trackTensor;
    else delete (tracker as { trackTensor?: unknown }).trackTensor;
  }
  return peak;
}
