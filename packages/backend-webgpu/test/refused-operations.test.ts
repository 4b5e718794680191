import { tensorDevice } from '@frugaljs/backend-webgpu';
import { compose } from '@frugaljs/composer';
import { OutOfMemoryError, UnsupportedBackendError } from '@frugaljs/core/errors';
import { adamW } from '@frugaljs/state-full';
import * as tf from '@tensorflow/tfjs-core';
import { afterEach, expect, test } from 'vitest';
import { describeOnDevice } from './device.js';

afterEach(() => tf.disposeVariables());

describeOnDevice('operations that the device refuses', () => {
  test('are an error of the next update, which changes nothing, and of no later one', async () => {
    const w = tf.tidy(() => tf.variable(tf.ones([4, 4]), true, 'w'));
    const optimizer = compose({ learningRate: 0.1, groups: [{ use: adamW() }] });
    const g = tf.ones([4, 4]);
    optimizer.applyGradients({ w: g });
    await optimizer.settled();
    const values = (await w.data()).slice();
    const { device } = tensorDevice(tf.engine().backend);
    const told: GPUError[] = [];
    device.addEventListener('uncapturederror', ({ error }) => told.push(error));

    device.createBuffer({ size: 2 ** 45, usage: GPUBufferUsage.STORAGE });
    await expect.poll(() => told.length).toBe(1);
    expect(() => optimizer.applyGradients({ w: g })).toThrow(UnsupportedBackendError);
    expect(await w.data()).toEqual(values);
    expect(optimizer.updates).toBe(1);
    optimizer.applyGradients({ w: g });
    await optimizer.settled();
    expect(await w.data()).not.toEqual(values);

    // What a device says that has no memory left, which this one has.
    const error = new GPUOutOfMemoryError('no memory for a buffer');
    device.dispatchEvent(new GPUUncapturedErrorEvent('uncapturederror', { error }));
    expect(() => optimizer.applyGradients({ w: g })).toThrow(OutOfMemoryError);
    expect(() => optimizer.applyGradients({ w: g })).not.toThrow();
    optimizer.dispose();
    g.dispose();
  });
});
