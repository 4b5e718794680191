import { DeviceLostError, OutOfMemoryError, UnsupportedBackendError } from '@frugaljs/core/errors';
import type { WebGPUBackend } from '@tensorflow/tfjs-backend-webgpu';
import { engine, type KernelBackend, type Tensor, type TensorInfo } from '@tensorflow/tfjs-core';

const devices = new WeakMap<object, TensorDevice>();

/**
 * The device behind a tfjs WebGPU backend.
 *
 * @throws UnsupportedBackendError if the backend is another one or keeps its tensors in an unknown way.
 */
export function tensorDevice(backend: KernelBackend): TensorDevice {
  let found = devices.get(backend);
  if (found === undefined) {
    found = new TensorDevice(backend as WebGPUBackend);
    devices.set(backend, found);
  }
  return found;
}

/**
 * Access to the buffers in which tfjs's WebGPU backend keeps its tensors, and to the command encoder in which it
 * collects its work. Nothing else touches {@link Internals}.
 */
export class TensorDevice {
  readonly device: GPUDevice;
  private readonly internals: Internals;
  private lost: GPUDeviceLostInfo | null = null;
  private rejected: string | null = null;
  private refused: GPUError | null = null;
  private readonly written = new WeakSet<object>();

  constructor(backend: WebGPUBackend) {
    this.internals = probedInternals(backend);
    this.device = this.internals.device;
    void this.device.lost.then(info => {
      this.lost = info;
    });
    // Commands with an invalid buffer, such as one there was no memory for, are dropped: nobody else would notice.
    this.device.addEventListener('uncapturederror', ({ error }) => {
      this.refused ??= error;
    });
  }

  /** True for an adapter that computes on the processor. */
  get isSoftware(): boolean {
    const { adapterInfo } = this.device as { adapterInfo?: { isFallbackAdapter?: boolean; architecture?: string } };
    return adapterInfo?.isFallbackAdapter ?? adapterInfo?.architecture === 'swiftshader';
  }

  /** The buffer of a tensor, with its values in it. May end the open pass, so ask before {@link record}. */
  buffer(tensor: Pick<Tensor, 'dataId'>): GPUBuffer {
    const { dataId } = tensor;
    this.internals.uploadToGPU(dataId);
    // The buffer must not be given away before the commands that use it are submitted.
    this.internals.commandQueueOwnedIds.add(dataId);
    return this.internals.tensorMap.get(dataId).resource!;
  }

  /** A new tensor with undefined values, tracked by tfjs. */
  allocate(shape: readonly number[]): Tensor {
    const info = this.internals.makeTensorInfo([...shape], 'float32');
    this.internals.uploadToGPU(info.dataId);
    return engine().makeTensorFromTensorInfo(info);
  }

  /** True when nothing but this tensor (or variable) holds its buffer. */
  isSole(tensor: Pick<Tensor, 'dataId'>): boolean {
    return this.internals.refCount(tensor.dataId) === 1;
  }

  /**
   * Tells tfjs that a tensor was written in place. tfjs keeps a copy of what `data()` has read, and would hand it out
   * again, also when the read began before the write and ends after it. So such a tensor keeps none from now on.
   */
  wasWritten(tensor: Pick<Tensor, 'dataId'>): void {
    const record = this.internals.tensorMap.get(tensor.dataId);
    if (this.written.has(record)) return;
    this.written.add(record);
    Object.defineProperty(record, 'values', { get: () => null, set: () => undefined, configurable: true });
  }

  /**
   * Adds one dispatch to the commands that tfjs has collected, after them and before all later ones.
   *
   * @throws DeviceLostError when the device is gone.
   */
  record(
    pipeline: GPUComputePipeline,
    group: GPUBindGroup,
    offset: number,
    [x, y, z]: readonly [number, number, number],
  ): void {
    this.requireLive();
    const { internals } = this;
    internals.ensureCommandEncoderReady();
    internals.computePassEncoder ??= internals.commandEncoder!.beginComputePass();
    const pass = internals.computePassEncoder;
    pass.setPipeline(pipeline);
    pass.setBindGroup(0, group, [offset]);
    pass.dispatchWorkgroups(x, y, z);
  }

  /** Adds the clearing of a part of a buffer to the commands. */
  recordClear(buffer: GPUBuffer, offset: number, bytes: number): void {
    this.requireLive();
    const { internals } = this;
    internals.ensureCommandEncoderReady();
    internals.endComputePassEncoder();
    internals.commandEncoder!.clearBuffer(buffer, offset, bytes);
  }

  /** Hands all collected commands to the device. */
  submit(): void {
    const { internals } = this;
    internals.endComputePassEncoder();
    if (internals.commandEncoder !== null) internals.submitQueue();
  }

  /** Adds a copy of the buffer of one tensor over that of another of the same size to the commands. */
  copy(from: Pick<Tensor, 'dataId'>, to: Pick<Tensor, 'dataId'>): void {
    const [source, target] = [this.buffer(from), this.buffer(to)];
    this.requireLive();
    const { internals } = this;
    internals.ensureCommandEncoderReady();
    internals.endComputePassEncoder();
    internals.commandEncoder!.copyBufferToBuffer(source, 0, target, 0, source.size);
    this.wasWritten(to);
  }

  /** Copies data to a buffer, before all commands that are not submitted yet. */
  write(buffer: GPUBuffer, offset: number, data: ArrayBuffer, bytes: number): void {
    this.internals.queue.writeBuffer(buffer, offset, data, 0, bytes);
  }

  /** The contents of a buffer after all commands collected so far; submits them. */
  read(buffer: GPUBuffer): Promise<ArrayBuffer> {
    this.requireLive();
    return this.internals.getBufferData(buffer);
  }

  /** Resolves when the device has done everything collected so far. */
  async finished(): Promise<void> {
    this.submit();
    await this.internals.queue.onSubmittedWorkDone();
    this.requireLive();
  }

  /** Makes something of which the device says only later whether it is valid; if not, {@link requireLive} will tell. */
  checked<T>(make: (device: GPUDevice) => T): T {
    const kinds = ['validation', 'internal'] as const;
    for (const kind of kinds) this.device.pushErrorScope(kind);
    const made = make(this.device);
    for (const _ of kinds) {
      void this.device.popErrorScope().then(error => {
        if (error !== null) this.rejected = error.message;
      });
    }
    return made;
  }

  /**
   * @throws DeviceLostError when the device is gone.
   * @throws UnsupportedBackendError when the device does not take a kernel of this package, and once when it has refused
   *   some other operation.
   * @throws OutOfMemoryError once when the device had no memory for something.
   */
  requireLive(): void {
    if (this.rejected !== null) {
      throw new UnsupportedBackendError({
        parameter: 'webgpu',
        found: `a kernel that this device does not take: ${this.rejected}`,
        expected: 'a valid kernel',
        advice: 'Compose with kernels: "reference", and report this with the name of the adapter.',
      });
    }
    if (this.lost === null) {
      this.raiseRefusal();
      return;
    }
    throw new DeviceLostError({
      parameter: 'webgpu',
      found: `a lost device (${this.lost.reason}${this.lost.message === '' ? '' : `: ${this.lost.message}`})`,
      expected: 'a live one',
      advice:
        'Its tensors are gone. Call tf.removeBackend("webgpu"), register it again with registerWebGpu(), and go on from the last checkpoint.',
    });
  }

  private raiseRefusal(): void {
    const { refused } = this;
    if (refused === null) return;
    this.refused = null;
    const complaint = {
      parameter: 'webgpu',
      found: `an operation that the device refused: ${refused.message.split('\n')[0]}`,
      expected: 'operations and memory that it has room for',
      advice:
        'What was computed since then means nothing: go on from the last checkpoint, with a smaller model, batch or context.',
    };
    if (refused instanceof GPUOutOfMemoryError) throw new OutOfMemoryError('gpu', complaint, refused);
    throw new UnsupportedBackendError(complaint);
  }
}

type DataId = TensorInfo['dataId'];

/** What tfjs keeps of a tensor. */
interface TensorRecord {
  values: unknown;
  refCount: number;
  resource?: GPUBuffer | null;
}

/** The members of tfjs's WebGPU backend that this package relies on; tfjs documents none, and declares some private. */
interface Internals {
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
function probedInternals(backend: WebGPUBackend): Internals {
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
