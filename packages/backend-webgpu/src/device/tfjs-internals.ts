import { UnsupportedBackendError } from '@frugaljs/core/errors';
import type { WebGPUBackend } from '@tensorflow/tfjs-backend-webgpu';
import type { TensorInfo } from '@tensorflow/tfjs-core';

type DataId = TensorInfo['dataId'];

/** What tfjs keeps of a tensor. */
interface TensorRecord {
  values: unknown;
  refCount: number;
  resource?: GPUBuffer | null;
}

/** The members of tfjs's WebGPU backend that this package relies on; tfjs documents none, and declares some private. */
export interface Internals {
  readonly device: GPUDevice;
  readonly queue: GPUQueue;
  readonly tensorMap: { get(dataId: DataId): TensorRecord; has(dataId: DataId): boolean };
  readonly commandQueueOwnedIds: { add(dataId: DataId): unknown };
  commandEncoder: GPUCommandEncoder | null;
  computePassEncoder: GPUComputePassEncoder | null;
  uploadToGPU(dataId: DataId): void;
  ensureCommandEncoderReady(): void;
  endComputePassEncoder(): void;
  submitQueue(): void;
  getBufferData(buffer: GPUBuffer): Promise<ArrayBuffer>;
  makeTensorInfo(shape: number[], dtype: 'float32'): TensorInfo;
  refCount(dataId: DataId): number;
}

const METHODS = [
  'uploadToGPU',
  'ensureCommandEncoderReady',
  'endComputePassEncoder',
  'submitQueue',
  'getBufferData',
  'makeTensorInfo',
  'refCount',
  'write',
  'disposeData',
] as const;

/**
 * The members of a backend, probed: a change in tfjs is an error here and never a silent misreading later.
 *
 * @throws UnsupportedBackendError if the backend is another one or keeps its tensors in an unknown way.
 */
export function probedInternals(backend: WebGPUBackend): Internals {
  const internals = backend as unknown as Internals;
  probeMembers(internals);
  probeTensors(backend, internals);
  return internals;
}

function changed(found: unknown, expected: string): UnsupportedBackendError {
  return new UnsupportedBackendError({
    parameter: 'backend',
    found,
    expected,
    advice: 'This package is made for the "webgpu" backend of @tensorflow/tfjs-backend-webgpu 4.22.',
  });
}

function probeMembers(internals: Internals): void {
  for (const name of METHODS) {
    const found = typeof (internals as unknown as Record<string, unknown>)[name];
    if (found !== 'function') throw changed(found, `a function \`backend.${name}\``);
  }
  for (const name of ['commandEncoder', 'computePassEncoder'] as const) {
    if (!(name in internals)) throw changed('nothing', `a member \`backend.${name}\``);
  }
  const isDevice = typeof internals.device?.createComputePipeline === 'function';
  if (!isDevice) throw changed(typeof internals.device, 'a GPUDevice `backend.device`');
  if (internals.queue !== internals.device.queue && typeof internals.queue?.writeBuffer !== 'function')
    throw changed(typeof internals.queue, 'the queue of the device as `backend.queue`');
  if (typeof internals.commandQueueOwnedIds?.add !== 'function')
    throw changed(typeof internals.commandQueueOwnedIds, 'a set `backend.commandQueueOwnedIds`');
}

/** Stores a tensor the way tfjs does and looks for its buffer where it should be. */
function probeTensors(backend: WebGPUBackend, internals: Internals): void {
  const dataId = backend.write(Float32Array.of(1.5, -2.25, 3e-9, 4e9), [4], 'float32');
  try {
    if (internals.refCount(dataId) !== 1) throw changed(internals.refCount(dataId), 'a refCount of 1 for a new tensor');
    internals.uploadToGPU(dataId);
    const { resource, values } = internals.tensorMap.get(dataId);
    const usage = GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_SRC | GPUBufferUsage.COPY_DST;
    if (!(resource instanceof GPUBuffer) || resource.size !== 16 || (resource.usage & usage) !== usage)
      throw changed(String(resource), 'a storage buffer of 16 bytes as `resource` of an uploaded tensor of 4 numbers');
    if (values !== null) throw changed(typeof values, 'no `values` beside the buffer of an uploaded tensor');
  } finally {
    backend.disposeData(dataId);
  }
}
