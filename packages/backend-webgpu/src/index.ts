/**
 * `@frugaljs/backend-webgpu`: optimizer updates in place on the TensorFlow.js WebGPU backend. Importing it registers the
 * backend `webgpu` and its kernels. In Node import `@frugaljs/backend-webgpu/node` instead.
 */
import { registerWebGpu } from './register.js';

registerWebGpu();

export { DeviceLostError, OutOfMemoryError, UnsupportedBackendError } from '@frugaljs/core/errors';
export { requireAdapter } from './device/start-device.js';
export { TensorDevice, tensorDevice } from './device/tensor-device.js';
export { DeviceLimitError, WebGpuUnavailableError } from './errors.js';
export { DeviceKernels, deviceKernels } from './fused/device-kernels.js';
export type { DeviceLimits } from './fused/device-limits.js';
export { registerWebGpu, startWebGpu } from './register.js';
