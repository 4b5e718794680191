import { registerKernels } from '@frugaljs/core';
import { type Complaint, FrugalError } from '@frugaljs/core/errors';
import { WebGPUBackend } from '@tensorflow/tfjs-backend-webgpu';
import {
  engine,
  findBackendFactory,
  getBackend,
  ready,
  registerBackend,
  removeBackend,
  setBackend,
} from '@tensorflow/tfjs-core';
import { deviceKernels } from './fused/device-kernels.js';

/** There is no WebGPU here: the browser or the operating system does not offer it, or has no adapter. */
export class WebGpuUnavailableError extends FrugalError {
  constructor(complaint: Complaint) {
    super('backend-unavailable', complaint);
    this.name = 'WebGpuUnavailableError';
  }
}

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

/** Limits that tfjs asks for, and the number of buffers a kernel may bind: the fused kernels of deep splits use many. */
const RAISED_LIMITS = [
  'maxComputeWorkgroupStorageSize',
  'maxComputeWorkgroupsPerDimension',
  'maxStorageBufferBindingSize',
  'maxBufferSize',
  'maxComputeWorkgroupSizeX',
  'maxComputeInvocationsPerWorkgroup',
  'maxStorageBuffersPerShaderStage',
] as const;

/**
 * Starts tfjs's WebGPU backend on the fastest adapter there is. As tfjs does it, with the limits raised to what the
 * adapter has and an error that says what is missing.
 *
 * @throws WebGpuUnavailableError without WebGPU, without an adapter, or when the adapter gives no device.
 */
async function startDevice(): Promise<WebGPUBackend> {
  const adapter = await requireAdapter();
  const requiredLimits: Record<string, number> = {};
  for (const name of RAISED_LIMITS) {
    const limit = adapter.limits[name];
    if (limit !== undefined) requiredLimits[name] = limit;
  }
  const requiredFeatures: GPUFeatureName[] = adapter.features.has('timestamp-query') ? ['timestamp-query'] : [];
  let device: GPUDevice;
  try {
    device = await adapter.requestDevice({ requiredLimits, requiredFeatures });
  } catch (error) {
    throw new WebGpuUnavailableError({
      parameter: 'webgpu',
      found: `an adapter that gives no device (${error instanceof Error ? error.message : error})`,
      expected: 'a device with the limits that the adapter names',
      advice: 'Update the driver of the graphics card, or take the backend wasm.',
    });
  }
  return new WebGPUBackend(device, (adapter as { info?: GPUAdapterInfo }).info);
}

/**
 * The fastest adapter.
 *
 * @throws WebGpuUnavailableError when there is none.
 */
export async function requireAdapter(): Promise<GPUAdapter> {
  const gpu = (globalThis.navigator as Navigator | undefined)?.gpu;
  if (gpu === undefined) {
    throw new WebGpuUnavailableError({
      parameter: 'navigator.gpu',
      found: 'nothing',
      expected: 'WebGPU',
      advice:
        'In Node import @frugaljs/backend-webgpu/node. In a page take a browser with WebGPU, over https or from localhost; or take the backend wasm.',
    });
  }
  const adapter = await gpu.requestAdapter({ powerPreference: 'high-performance' });
  if (adapter === null) {
    throw new WebGpuUnavailableError({
      parameter: 'navigator.gpu.requestAdapter()',
      found: 'no adapter',
      expected: 'a graphics card, or a software adapter, that WebGPU can use',
      advice: 'Allow hardware acceleration in the browser or install a Vulkan driver; or take the backend wasm.',
    });
  }
  return adapter;
}
