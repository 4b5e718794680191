import {
  getKernel,
  registerKernel,
  setBackend,
  type Tensor1D,
  tensor,
  unregisterKernel,
  unsortedSegmentSum,
} from '@tensorflow/tfjs-core';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { registerTrainingKernels, restoreTfjsKernels, trainingKernelNames } from '../src/index.js';

const current = () => trainingKernelNames.map(name => getKernel(name, 'wasm'));

describe('registerTrainingKernels', () => {
  afterEach(() => registerTrainingKernels());

  it('has happened on import', () => expect(current()).not.toContain(undefined));

  it('changes nothing when called again, and prints nothing', () => {
    const warn = vi.spyOn(console, 'warn').mockImplementation(() => {});
    const before = current();
    registerTrainingKernels();
    expect(current()).toEqual(before);
    expect(warn).not.toHaveBeenCalled();
    warn.mockRestore();
  });

  it('can be undone and repeated, in whole or in part', () => {
    const own = current();
    restoreTfjsKernels();
    expect(getKernel('UnsortedSegmentSum', 'wasm')).toBeUndefined();
    const original = current();
    expect(original.some(kernel => own.includes(kernel!))).toBe(false);
    restoreTfjsKernels();
    expect(current()).toEqual(original);

    registerTrainingKernels(['UnsortedSegmentSum']);
    const changed = trainingKernelNames.filter((_, i) => current()[i] !== original[i]);
    expect(changed).toEqual(['UnsortedSegmentSum']);
  });

  it('leaves a kernel that somebody registered later alone when undone', () => {
    const { kernelFunc } = getKernel('Exp', 'wasm');
    unregisterKernel('Exp', 'wasm');
    const foreign = { kernelName: 'Exp', backendName: 'wasm', kernelFunc };
    registerKernel(foreign);
    restoreTfjsKernels();
    expect(getKernel('Exp', 'wasm')).toBe(foreign);
  });

  it('works after the backend has started', async () => {
    restoreTfjsKernels();
    await setBackend('wasm');
    registerTrainingKernels();
    const sums = unsortedSegmentSum(tensor([1, 2, 3]), tensor([1, 0, 1], [3], 'int32') as Tensor1D, 2);
    expect(Array.from(sums.dataSync())).toEqual([2, 4]);
  });
});
