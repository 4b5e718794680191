import '@tensorflow/tfjs-backend-cpu';
import { backendTraits, type KernelSet, kernelsFor, registerKernels, sharedRegistry } from '@frugaljs/core';
import { engine, KernelBackend, registerBackend, removeBackend, setBackend } from '@tensorflow/tfjs-core';
import { afterEach, describe, expect, it } from 'vitest';

const NAME = 'test-backend';

/** A backend that computes nothing: only what it says about itself matters here. */
class Plain extends KernelBackend {
  override dispose(): void {}
  override floatPrecision(): 16 | 32 {
    return 32;
  }
}

/** Like tfjs's webgl and webgpu backends, it can leave data on a GPU. */
class OnGpu extends Plain {
  override readToGPU(): never {
    throw new Error('not for this test');
  }
}

async function start(backend: KernelBackend): Promise<void> {
  registerBackend(NAME, () => backend);
  expect(await setBackend(NAME)).toBe(true);
}

afterEach(async () => {
  await setBackend('cpu');
  if (NAME in engine().registryFactory) removeBackend(NAME);
});

describe('traits of a backend', () => {
  it('are careful where no kernel set declares them', async () => {
    await start(new Plain());
    expect(backendTraits()).toEqual({
      readsAtOnce: true,
      sharesMemory: true,
      refreshesOn: 'host',
      startsWithin: false,
    });
  });

  it('of one that holds data on a GPU: reading back stalls, however far up the method stands', async () => {
    await start(new (class extends OnGpu {})());
    expect(backendTraits()).toMatchObject({ readsAtOnce: false, refreshesOn: 'device' });
  });

  it('are those that its kernel set declares', async () => {
    await start(new OnGpu());
    const traits = { readsAtOnce: true, sharesMemory: false, refreshesOn: 'host', startsWithin: true } as const;
    registerKernels(NAME, () => ({ traits }) as unknown as KernelSet);
    expect(backendTraits()).toBe(traits);
  });
});

describe('a registry', () => {
  it('is one for all copies of the package', async () => {
    // A query makes the module loader load the sources a second time, as a second installed copy would be.
    const path = '../src/kernels.js?copy';
    const copy = (await import(/* @vite-ignore */ path)) as typeof import('../src/kernels.js');
    expect(copy.kernelsFor).not.toBe(kernelsFor);
    const kernels = {} as KernelSet;
    copy.registerKernels('of-the-copy', () => kernels);
    expect(kernelsFor('of-the-copy')).toBe(kernels);
  });

  it('refuses what another version registered in a form that it does not know', () => {
    sharedRegistry<number>('test-parts', 1).set('one', 1);
    expect(sharedRegistry<number>('test-parts', 1).get('one')).toBe(1);
    expect(sharedRegistry<number>('test-parts', 2).get('two')).toBeUndefined();
    expect(() => sharedRegistry<number>('test-parts', 2).get('one')).toThrow(
      /form 1.*another version.*Install one version/,
    );
  });
});
