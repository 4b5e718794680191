import { DeviceKernels, tensorDevice } from '@frugaljs/backend-webgpu';
import { type KernelSet, registerKernels } from '@frugaljs/core';
import { describeKernelLaws } from '@frugaljs/testing/vitest';
import { engine } from '@tensorflow/tfjs-core';
import { describe } from 'vitest';
import { algebraOf, REDUCING_RULES } from '../../../tools/test-support/algebra.js';
import { missing } from './device.js';

// What a graphics processor runs and a software adapter by itself does not: all tiers of a split in one dispatch.
let together: KernelSet | null = null;

const { adafactor, adaLayer, factoredAdamW, foam, rmsprop } = REDUCING_RULES;

if (missing !== null) {
  describe.skip(`laws of kernels (${missing})`);
} else {
  registerKernels('webgpu', () => {
    together ??= new DeviceKernels(tensorDevice(engine().backend), { branches: true });
    return together;
  });
  describeKernelLaws(algebraOf('reference'), algebraOf('auto'), {
    name: 'kernels of backend-webgpu, one dispatch per split',
    rules: { adafactor, adaLayer, factoredAdamW, foam, rmsprop },
    numRuns: 8,
    backends: ['webgpu'],
    leaveOut: { 'same steps with dense projectors': 'has no splits' },
  });
}
