import { OutOfMemoryError } from '@frugaljs/core/errors';
import { engine } from '@tensorflow/tfjs-core';

/** What tfjs's wasm backend allocates with. */
interface WasmModule {
  readonly HEAPU8: Uint8Array;
  _malloc(bytes: number): number;
  _free(offset: number): void;
  [GUARDED]?: true;
}

/** On a module whose allocator is guarded; other copies of this package find it too. */
const GUARDED: unique symbol = Symbol.for('frugaljs.guarded-wasm-heap') as never;

/** Addresses are 32 bits wide. */
const ADDRESS_SPACE = 2 ** 32;

/**
 * Makes allocations on a wasm backend throw when the heap is full. tfjs does not look at what the allocator returns:
 * without this a tensor that does not fit is put at address 0, over others, and the program goes on with their values
 * destroyed. The allocator itself is wrong about free blocks near the end of the addresses, whose end it computes modulo
 * 2³²: it hands out small ones for large requests. Those go back.
 *
 * Does nothing a second time, nor where there is no such heap. This module does not load tfjs's wasm backend.
 *
 * @param backend By default tfjs's wasm backend, once it has started.
 */
export function guardWasmHeap(backend: unknown = wasmBackend()): void {
  const wasm = moduleOf(backend);
  if (wasm === null || wasm[GUARDED] === true) return;
  wasm[GUARDED] = true;
  // Emscripten's functions replace themselves when they are first called.
  wasm._free(wasm._malloc(8));
  const allocate = wasm._malloc;
  wasm._malloc = bytes => {
    const offset = bytes < ADDRESS_SPACE ? allocate(bytes) : 0;
    // Addresses above 2 GiB come as negative numbers.
    const fits = (offset >>> 0) + bytes <= ADDRESS_SPACE;
    if (fits && (offset !== 0 || bytes === 0)) return offset;
    wasm._free(offset);
    throw heapExhausted(bytes, wasm.HEAPU8.length);
  };
}

/** Bytes of the heap of tfjs's wasm backend; null while another backend is current. */
export function wasmHeapBytes(): number | null {
  const { backendName } = engine();
  return backendName === 'wasm' ? (moduleOf(wasmBackend())?.HEAPU8.length ?? null) : null;
}

/** The wasm backend, current or not. Asking tfjs for the current one would start it, or fail while it starts. */
function wasmBackend(): unknown {
  return engine().registry['wasm'];
}

function moduleOf(backend: unknown): WasmModule | null {
  const { wasm } = (backend ?? {}) as { readonly wasm?: Partial<WasmModule> };
  // What a later tfjs may lack, the kernels complain about.
  const isKnown = typeof wasm?._malloc === 'function' && typeof wasm._free === 'function' && 'HEAPU8' in wasm;
  return isKnown ? (wasm as WasmModule) : null;
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
