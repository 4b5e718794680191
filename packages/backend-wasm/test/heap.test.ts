import '@tensorflow/tfjs-backend-cpu';
import { backend, type KernelBackend, matMul, setBackend, type Tensor, tensor } from '@tensorflow/tfjs-core';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  registerTrainingKernels,
  restoreTfjsKernels,
  type TensorHeap,
  tensorHeap,
  UnsupportedBackendError,
} from '../src/index.js';

let heap: TensorHeap;

beforeEach(async () => {
  await setBackend('wasm');
  heap = tensorHeap(backend());
});

const valuesOf = (x: Tensor): Float32Array => new Float32Array(heap.memory.buffer, heap.offset(x), x.size);

describe('TensorHeap', () => {
  it('is one per backend', () => expect(tensorHeap(backend())).toBe(heap));

  it('reads and writes tensors in place, before and after the heap grows', () => {
    const x = tensor([1, 2, 3]);
    expect(Array.from(valuesOf(x))).toEqual([1, 2, 3]);
    const bytes = heap.memory.buffer.byteLength;
    const large = tensor(new Float32Array(bytes / 4));
    expect(heap.memory.buffer.byteLength).toBeGreaterThan(bytes);
    valuesOf(x).set([4, 5, 6]);
    expect(Array.from(x.dataSync())).toEqual([4, 5, 6]);
    large.dispose();
    x.dispose();
  });

  it('hands out scratch memory that no tensor occupies', () => {
    const offset = heap.scratch(1000);
    expect(heap.scratch(10)).toBe(offset);
    const larger = heap.scratch(2_000_000);
    new Uint8Array(heap.memory.buffer, larger, 2_000_000).fill(7);
    const x = tensor([1, 2, 3]);
    new Uint8Array(heap.memory.buffer, larger, 2_000_000).fill(9);
    expect(Array.from(x.dataSync())).toEqual([1, 2, 3]);
    x.dispose();
  });

  it('frees scratch memory once, also when a larger block cannot be had', () => {
    const wasm = heap.backend.wasm as unknown as { _malloc(bytes: number): number; _free(offset: number): void };
    const { _malloc, _free } = wasm;
    const bytes = 3_000_000;
    heap.scratch(bytes);
    const freed: number[] = [];
    wasm._free = offset => {
      if (offset !== 0) freed.push(offset);
      _free(offset);
    };
    try {
      wasm._malloc = () => {
        throw new Error('full');
      };
      expect(() => heap.scratch(bytes + 1)).toThrow('full');
      wasm._malloc = _malloc;
      expect(heap.scratch(bytes + 2)).not.toBe(0);
    } finally {
      Object.assign(wasm, { _malloc, _free });
    }
    expect(freed).toHaveLength(1);
  });

  it('refuses another backend', async () => {
    await setBackend('cpu');
    expect(() => tensorHeap(backend())).toThrow(UnsupportedBackendError);
    expect(() => tensorHeap(backend())).toThrow(expect.objectContaining({ code: 'unsupported-backend' }));
    expect(() => tensorHeap(backend())).toThrow(/backend: expected .*HEAPU8.*found undefined.*4\.22/);
  });

  /** A stand-in for a later tfjs that differs in one member. */
  function changedBackend(changes: Record<string, unknown>, wasmChanges: Record<string, unknown> = {}): KernelBackend {
    const original = heap.backend;
    const wasm = Object.assign(Object.create(original.wasm as object), wasmChanges);
    return Object.assign(Object.create(original), { wasm }, changes);
  }

  const records = (record: object): object => ({ set() {}, has: () => false, get: () => record });

  it.each([
    ['no map of records', { dataIdMap: undefined }, {}],
    ['another memory', {}, { asm: { memory: new WebAssembly.Memory({ initial: 1 }) } }],
    ['no allocator', {}, { _malloc: undefined }],
    ['no registry of tensors', {}, { tfjs: {} }],
    ['records without an address', { dataIdMap: records({ id: 1, refCount: 1 }) }, {}],
    ['records with another address', { dataIdMap: records({ id: 1, refCount: 1, memoryOffset: 64 }) }, {}],
  ])('refuses a backend with %s', (_, changes, wasmChanges) => {
    expect(() => tensorHeap(changedBackend(changes, wasmChanges))).toThrow(UnsupportedBackendError);
  });
});

describe('weights written in place', () => {
  afterEach(() => registerTrainingKernels());

  const writeInPlace = (forget: boolean): number[][] => {
    const x = tensor([1, 1], [1, 2]);
    const weights = tensor([1, 2, 3, 4], [2, 2]);
    const products = [0, 1].map(round => {
      valuesOf(weights).set([1, 2, 3, 4].map(value => value + 10 * round));
      if (forget) heap.forgetPackedWeights(weights);
      const product = matMul(x, weights);
      const values = Array.from(product.dataSync());
      product.dispose();
      return values;
    });
    x.dispose();
    weights.dispose();
    return products;
  };
  const fresh = [
    [4, 6],
    [24, 26],
  ];

  it('take effect at once in the product of this package', () => expect(writeInPlace(false)).toEqual(fresh));

  it('are missed by the product of tfjs, unless it is told', () => {
    restoreTfjsKernels();
    expect(writeInPlace(false)).toEqual([fresh[0], fresh[0]]);
    expect(writeInPlace(true)).toEqual(fresh);
  });
});
