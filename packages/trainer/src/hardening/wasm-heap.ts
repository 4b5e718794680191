import { getBackend, type KernelBackend, backend as tfjsBackend } from '@tensorflow/tfjs-core';
import { OutOfMemoryError } from '../errors.js';

/** What tfjs's wasm backend allocates with. */
interface WasmModule {
  readonly HEAPU8: Uint8Array;
  _malloc(bytes: number): number;
}

/** Addresses are 32 bits wide. */
const ADDRESS_SPACE = 2 ** 32;

const guarded: WeakSet<WasmModule> = new WeakSet();

/**
 * Makes allocations on the current wasm backend throw when the heap is full. tfjs does not look at what the allocator
 * returns: without this a tensor that does not fit is put at address 0, over others, and the run goes on with their
 * values destroyed. Does nothing on other backends, and nothing a second time.
 */
export function guardWasmHeap(): void {
  const wasm = wasmModule();
  if (wasm === null || guarded.has(wasm)) return;
  guarded.add(wasm);
  // Emscripten's function replaces itself when it is first called.
  const first = wasm._malloc(8);
  (wasm as unknown as { _free(offset: number): void })._free(first);
  const allocate = wasm._malloc;
  wasm._malloc = bytes => {
    const offset = bytes < ADDRESS_SPACE ? allocate(bytes) : 0;
    if (offset !== 0 || bytes === 0) return offset;
    throw heapExhausted(bytes, wasm.HEAPU8.length);
  };
}

/** Bytes of the current wasm backend's heap; null on another backend. */
export function wasmHeapBytes(): number | null {
  return wasmModule()?.HEAPU8.length ?? null;
}

function wasmModule(): WasmModule | null {
  if (getBackend() !== 'wasm') return null;
  const { wasm } = tfjsBackend() as KernelBackend & { readonly wasm?: WasmModule };
  return wasm ?? null;
}

function heapExhausted(bytes: number, heap: number): OutOfMemoryError {
  return new OutOfMemoryError('wasm-heap', {
    parameter: 'memory of the wasm backend',
    found: `a heap of ${mebibytes(heap)} MiB that cannot grow by ${mebibytes(bytes)} MiB`,
    expected: 'room for one more tensor',
    advice: 'The heap holds 4 GiB at most, gaps between tensors included.',
  });
}

function mebibytes(bytes: number): string {
  return (bytes / 2 ** 20).toLocaleString('en-US', { maximumFractionDigits: 0 });
}
