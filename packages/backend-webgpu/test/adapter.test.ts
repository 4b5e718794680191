import { TensorDevice, tensorDevice, UnsupportedBackendError } from '@frugaljs/backend-webgpu';
import type { WebGPUBackend } from '@tensorflow/tfjs-backend-webgpu';
import * as tf from '@tensorflow/tfjs-core';
import { expect, test } from 'vitest';
import { describeOnDevice } from './device.js';

/** tfjs's backend with some members changed. */
function changed(members: Readonly<Record<string, unknown>>): WebGPUBackend {
  const backend = tf.engine().backend as WebGPUBackend;
  return new Proxy(backend, {
    get: (target, name) => (Object.hasOwn(members, name) ? members[name as string] : Reflect.get(target, name)),
    has: (target, name) => (members[name as string] === 'absent' ? false : Reflect.has(target, name)),
  });
}

/** A map of tensors that keeps buffers under another name. */
const elsewhere = {
  get: () => ({ dtype: 'float32', shape: [4], values: null, buffer: 'elsewhere', refCount: 1 }),
  set: () => undefined,
  has: () => true,
  delete: () => true,
};

describeOnDevice('what this package relies on in tfjs', () => {
  test('is as it was when the package was made', () => {
    expect(() => new TensorDevice(tf.engine().backend as WebGPUBackend)).not.toThrow();
  });

  test.each([
    ['uploadToGPU', { uploadToGPU: undefined }],
    ['submitQueue', { submitQueue: undefined }],
    ['getBufferData', { getBufferData: 3 }],
    ['commandEncoder', { commandEncoder: 'absent' }],
    ['computePassEncoder', { computePassEncoder: 'absent' }],
    ['commandQueueOwnedIds', { commandQueueOwnedIds: [] }],
    ['device', { device: {} }],
    ['refCount', { refCount: (): number => 2 }],
    ['resource', { tensorMap: elsewhere, refCount: (): number => 1 }],
  ])('a change of %s is an error', (name, members) => {
    expect(() => new TensorDevice(changed(members))).toThrow(UnsupportedBackendError);
    expect(() => new TensorDevice(changed(members))).toThrow(name);
  });

  test('tensors that were written and disposed give their buffers back', async () => {
    const backend = tf.engine().backend as WebGPUBackend;
    const device = tensorDevice(backend);
    const before = tf.memory();
    const x = tf.ones([64]);
    device.buffer(x);
    device.wasWritten(x);
    x.dispose();
    await device.finished();
    expect(tf.memory().numTensors).toBe(before.numTensors);
    expect(tf.memory().numBytes).toBe(before.numBytes);
  });
});
