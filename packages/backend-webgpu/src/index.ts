/**
 * `@frugaljs/backend-webgpu`: optimizer updates in place on the TensorFlow.js WebGPU backend. Importing it registers the
 * backend `webgpu` and its kernels. In Node import `@frugaljs/backend-webgpu/node` instead.
 */
import { registerWebGpu } from './start.js';

registerWebGpu();

export { DeviceLostError, OutOfMemoryError, UnsupportedBackendError } from '@frugaljs/core/errors';
export { DeviceLimitError, type DeviceLimits } from './device/dispatcher.js';
export { TensorDevice, tensorDevice } from './device/tensor-device.js';
export { DeviceKernels, deviceKernels } from './fused/device-kernels.js';
export { registerWebGpu, requireAdapter, startWebGpu, WebGpuUnavailableError } from './start.js';
