import type { Shape } from '@frugaljs/core';
import type { TensorDevice } from '../device/tensor-device.js';
import { DeviceLimitError } from '../errors.js';

/** Limits of the device, or smaller ones. */
export interface DeviceLimits {
  /** Bytes of a tensor that a kernel can bind. */
  readonly bindingBytes: number;
  /** Workgroups along one dimension of a dispatch. */
  readonly groups: number;
  /** Buffers that a kernel can bind, the uniforms not counted. */
  readonly buffers: number;
  /** Threads skip branches they do not take; a software adapter computes all of them. */
  readonly branches: boolean;
}

/** What a device can do. */
export function limitsOf({ device, isSoftware }: TensorDevice): DeviceLimits {
  const { limits } = device;
  return {
    bindingBytes: limits.maxStorageBufferBindingSize,
    groups: limits.maxComputeWorkgroupsPerDimension,
    buffers: limits.maxStorageBuffersPerShaderStage,
    branches: !isSoftware,
  };
}

/** @throws DeviceLimitError when a kernel cannot bind one of the buffers of a parameter as a whole. */
export function requireBindable(limits: DeviceLimits, buffers: readonly GPUBuffer[], shape: Shape): void {
  const largest = buffers.reduce((most, { size }) => Math.max(most, size), 0);
  if (largest <= limits.bindingBytes) return;
  throw new DeviceLimitError({
    parameter: `a parameter of shape [${shape}]`,
    found: `${largest} bytes`,
    expected: `at most ${limits.bindingBytes} bytes, which is what the device binds (maxStorageBufferBindingSize)`,
    advice: 'Cut the parameter in two. Operations of tfjs cannot bind it either, and do nothing without a word.',
  });
}
