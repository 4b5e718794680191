import { DeviceLostError, registerWebGpu, tensorDevice } from '@frugaljs/backend-webgpu';
import { compose } from '@frugaljs/composer';
import { signSgd } from '@frugaljs/state-free';
import { adamW } from '@frugaljs/state-full';
import * as tf from '@tensorflow/tfjs-core';
import { expect, test } from 'vitest';
import { describeOnDevice } from './device.js';

describeOnDevice('a lost device', () => {
  test('is a typed error with advice, for a step and for what is read afterwards', async () => {
    tf.tidy(() => tf.variable(tf.ones([4, 4]), true, 'w'));
    const optimizer = compose({ learningRate: 0.1, groups: [{ use: adamW() }] });
    const g = tf.ones([4, 4]);
    optimizer.applyGradients({ w: g });
    await optimizer.settled();
    const device = tensorDevice(tf.engine().backend);
    device.device.destroy();
    await device.device.lost;
    expect(() => optimizer.applyGradients({ w: g })).toThrow(DeviceLostError);
    expect(() => optimizer.applyGradients({ w: g })).toThrow(/destroyed.*registerWebGpu/);
    await expect(device.finished()).rejects.toThrow(DeviceLostError);
    optimizer.dispose();

    tf.disposeVariables();
    tf.removeBackend('webgpu');
    registerWebGpu();
    expect(await tf.setBackend('webgpu')).toBe(true);
    const again = tf.tidy(() => tf.variable(tf.ones([4, 4]), true, 'again'));
    const next = compose({ learningRate: 0.5, groups: [{ use: signSgd() }] });
    next.applyGradients({ again: tf.ones([4, 4]) });
    await next.settled();
    expect(Array.from(await again.data())).toEqual(new Array(16).fill(0.5));
    next.dispose();
  });
});
