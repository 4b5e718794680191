import { DeviceLostError, tensorDevice } from '@frugaljs/backend-webgpu';
import { compose } from '@frugaljs/composer';
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
  });
});
