import { UnsupportedBackendError } from '@frugaljs/core/errors';
import type { BackendWasm } from '@tensorflow/tfjs-backend-wasm';
import type { KernelBackend, TensorInfo } from '@tensorflow/tfjs-core';
import { guardWasmHeap } from './heap-guard.js';

/** tfjs's key of a tensor's data. */
export type DataId = TensorInfo['dataId'];

/** The members of the Emscripten module that this file relies on; tfjs types only some of them. */
interface Internals {
  readonly HEAPU8: Uint8Array;
  readonly asm?: { readonly memory?: unknown };
  readonly wasmMemory?: unknown;
  readonly tfjs: {
    registerTensor(id: number, size: number, memoryOffset: number): void;
    disposeData(id: number): void;
  };
  _malloc(bytes: number): number;
  _free(offset: number): void;
}

const heaps = new WeakMap<object, TensorHeap>();

/**
 * The heap of a tfjs WASM backend.
 * @throws UnsupportedBackendError if the backend is another one or keeps its tensors in an unknown way.
 */
export function tensorHeap(backend: KernelBackend): TensorHeap {
  let heap = heaps.get(backend);
  if (heap === undefined) {
    heap = new TensorHeap(backend as BackendWasm);
    heaps.set(backend, heap);
  }
  return heap;
}

/**
 * Access to the memory in which tfjs's WASM backend keeps its tensors. It relies on members that tfjs does not
 * document; the constructor probes all of them, so that a change in tfjs is an error and never a silent misreading.
 */
export class TensorHeap {
  readonly backend: BackendWasm;
  /** The memory that other WebAssembly programs can import. It grows, and its buffer is another one after that. */
  readonly memory: WebAssembly.Memory;
  readonly #wasm: Internals;
  #scratch = 0;
  #scratchBytes = 0;

  constructor(backend: BackendWasm) {
    this.backend = backend;
    this.#wasm = backend.wasm as unknown as Internals;
    this.memory = findMemory(this.#wasm);
    probeTensors(backend, this.#wasm);
    guardWasmHeap(backend);
  }

  /** Byte offset of the tensor's first element. */
  offset(tensor: Pick<TensorInfo, 'dataId'>): number {
    return this.backend.dataIdMap.get(tensor.dataId).memoryOffset;
  }

  /** The elements of an `int32` tensor, without a copy. Any allocation may invalidate the view. */
  int32(tensor: Pick<TensorInfo, 'dataId'>, length: number): Int32Array {
    return new Int32Array(this.memory.buffer, this.offset(tensor), length);
  }

  /**
   * Tells tfjs that a tensor was written in place. Its XNNPACK kernels keep a packed copy of the weights of a matrix
   * product or convolution, keyed by tensor, and would go on using it.
   */
  forgetPackedWeights(tensor: TensorInfo): void {
    const { id, memoryOffset } = this.backend.dataIdMap.get(tensor.dataId);
    const size = tensor.shape.reduce((product, dimension) => product * dimension, 1);
    this.#wasm.tfjs.disposeData(id);
    this.#wasm.tfjs.registerTensor(id, size, memoryOffset);
  }

  /**
   * Byte offset of a block that the caller may use until the next call. There is one block per heap; it grows to the
   * largest size asked for and lives as long as the backend.
   * @throws OutOfMemoryError if it cannot grow.
   */
  scratch(bytes: number): number {
    if (bytes > this.#scratchBytes) {
      this.#wasm._free(this.#scratch);
      // A full heap throws: what is free by then must not be freed again.
      this.#scratch = 0;
      this.#scratchBytes = 0;
      this.#scratch = this.#wasm._malloc(bytes) >>> 0;
      this.#scratchBytes = bytes;
    }
    return this.#scratch;
  }
}

function changed(found: unknown, expected: string): UnsupportedBackendError {
  return new UnsupportedBackendError({
    parameter: 'backend',
    found,
    expected,
    advice: 'This package is made for the "wasm" backend of @tensorflow/tfjs-backend-wasm 4.22.',
  });
}

function findMemory(wasm: Internals | undefined): WebAssembly.Memory {
  if (!(wasm?.HEAPU8 instanceof Uint8Array)) throw changed(typeof wasm?.HEAPU8, 'a heap `backend.wasm.HEAPU8`');
  // The binary without threads exports its memory, the one with threads imports it.
  for (const memory of [wasm.asm?.memory, wasm.wasmMemory]) {
    if (memory instanceof WebAssembly.Memory && memory.buffer === wasm.HEAPU8.buffer) return memory;
  }
  throw changed(Object.keys(wasm).length, 'the memory behind the heap as `backend.wasm.asm.memory`');
}

/** Stores a tensor the way tfjs does and looks for its bytes where they should be. */
function probeTensors(backend: BackendWasm, wasm: Internals): void {
  for (const name of ['_malloc', '_free'] as const) {
    if (typeof wasm[name] !== 'function') throw changed(typeof wasm[name], `a function \`backend.wasm.${name}\``);
  }
  for (const name of ['disposeData', 'registerTensor'] as const) {
    const found = typeof wasm.tfjs?.[name];
    if (found !== 'function') throw changed(found, `a function \`backend.wasm.tfjs.${name}\``);
  }
  try {
    probeRecord(backend, wasm);
  } catch (error) {
    if (error instanceof UnsupportedBackendError) throw error;
    throw changed(String(error), 'records of tensors in `backend.dataIdMap`');
  }
}

function probeRecord(backend: BackendWasm, wasm: Internals): void {
  const values = Float32Array.of(1.5, -2.25, 3e-9, 4e9);
  const dataId = backend.write(values, [values.length], 'float32');
  try {
    const { id, memoryOffset, refCount } = backend.dataIdMap.get(dataId);
    if (!Number.isInteger(id) || !Number.isInteger(memoryOffset) || refCount !== 1) {
      throw changed({ id, memoryOffset, refCount }, 'a record of integers id and memoryOffset and a refCount of 1');
    }
    const stored = new Float32Array(wasm.HEAPU8.buffer, memoryOffset, values.length);
    if (!values.every((value, i) => stored[i] === value)) {
      throw changed(Array.from(stored), `the values of a tensor, ${Array.from(values)}, at its memory offset`);
    }
  } finally {
    backend.disposeData(dataId);
  }
}
