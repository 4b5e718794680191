import '@tensorflow/tfjs-backend-webgpu';
import { registerKernels } from '@frugaljs/core';
import {
  engine,
  findBackendFactory,
  getBackend,
  ready,
  registerBackend,
  removeBackend,
  setBackend,
} from '@tensorflow/tfjs-core';
import { requireAdapter, startDevice } from './device/start-device.js';
import { WebGpuUnavailableError } from './errors.js';
import { deviceKernels } from './fused/device-kernels.js';

/** tfjs's own priority: the first choice of `tf.ready()`. */
const PRIORITY = 3;

/**
 * Registers the fused kernels for the tfjs backend `webgpu` and, where there is WebGPU, the backend itself: like tfjs's
 * own, but with the limits of the device raised and errors that say what is missing. A backend that runs already stays.
 */
export function registerWebGpu(): void {
  registerKernels('webgpu', deviceKernels);
  if ((globalThis.navigator as Navigator | undefined)?.gpu === undefined || 'webgpu' in engine().registry) return;
  const registered: unknown = findBackendFactory('webgpu') ?? null;
  if (registered === startDevice) return;
  if (registered !== null) removeBackend('webgpu');
  registerBackend('webgpu', startDevice, PRIORITY);
}

/**
 * Makes `webgpu` the current backend.
 *
 * @throws WebGpuUnavailableError without WebGPU or an adapter, with advice.
 */
export async function startWebGpu(): Promise<void> {
  await requireAdapter();
  registerWebGpu();
  const started = await setBackend('webgpu');
  await ready();
  if (started && getBackend() === 'webgpu') return;
  throw new WebGpuUnavailableError({
    parameter: 'webgpu',
    found: 'an adapter, but a backend that did not start',
    expected: 'a device',
    advice: 'tfjs printed the reason as a warning.',
  });
}
