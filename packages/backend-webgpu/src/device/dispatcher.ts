import type { Shape } from '@frugaljs/core';
import { type Complaint, FrugalError, UnsupportedBackendError } from '@frugaljs/core/errors';
import type { Field, Shader } from '../wgsl/shader.js';
import type { TensorDevice } from './tensor-device.js';

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

/** Uniforms of one dispatch lie in one place of a buffer; places are given out in turn. */
const PLACES = 512;

/** Compiles kernels, once per text, and adds their dispatches to the commands of tfjs. */
export class Dispatcher {
  readonly limits: DeviceLimits;
  private readonly compiled = new Map<string, Compiled>();
  private readonly uniforms: GPUBuffer;
  private readonly place: number;
  private readonly staging: ArrayBuffer;
  private readonly integers: Uint32Array;
  private readonly floats: Float32Array;
  private next = 0;

  /** @param limits Instead of those of the device, for tests. */
  constructor(
    readonly device: TensorDevice,
    limits: Partial<DeviceLimits> = {},
  ) {
    this.limits = { ...limitsOf(device), ...limits };
    // Deep splits have some dozens of numbers.
    this.place = Math.max(1024, device.device.limits.minUniformBufferOffsetAlignment);
    this.uniforms = device.device.createBuffer({
      label: 'uniforms of fused kernels',
      size: PLACES * this.place,
      usage: GPUBufferUsage.UNIFORM | GPUBufferUsage.COPY_DST,
    });
    this.staging = new ArrayBuffer(this.place);
    this.integers = new Uint32Array(this.staging);
    this.floats = new Float32Array(this.staging);
  }

  /** Numbers a kernel may have at most. */
  get mostFields(): number {
    return this.place / 4;
  }

  /**
   * Adds a dispatch.
   *
   * @param numberFor The value of a uniform.
   */
  dispatch(
    shader: Shader,
    buffers: readonly GPUBuffer[],
    numberFor: (field: Field) => number,
    grid: readonly [number, number, number],
  ): void {
    const { pipeline, layout } = this.compile(shader);
    const bytes = Math.ceil(shader.fields.length / 4) * 16;
    const offset = this.writeUniforms(shader.fields, bytes, numberFor);
    const group = this.device.device.createBindGroup({
      layout,
      entries: [
        { binding: 0, resource: { buffer: this.uniforms, size: bytes } },
        ...buffers.map((buffer, i) => ({ binding: i + 1, resource: { buffer } })),
      ],
    });
    this.device.record(pipeline, group, offset, grid);
  }

  /**
   * Adds dispatches over a grid of workgroups, cut along both sides where the device's limits ask for it. Which part of
   * the grid a dispatch has stands in the numbers `base` and `base y`, which are set here.
   */
  dispatchGrid(
    shader: Shader,
    buffers: readonly GPUBuffer[],
    [across, down]: readonly [number, number],
    numbers: Record<string, number>,
    numberFor: (field: Field) => number,
  ): void {
    const { groups } = this.limits;
    for (let y = 0; y < down; y += groups) {
      numbers['base y'] = y;
      for (let x = 0; x < across; x += groups) {
        numbers['base'] = x;
        const grid = [Math.min(groups, across - x), Math.min(groups, down - y), 1] as const;
        this.dispatch(shader, buffers, numberFor, grid);
      }
    }
  }

  private compile(shader: Shader): Compiled {
    let found = this.compiled.get(shader.code);
    if (found === undefined) {
      if (shader.fields.length > this.mostFields) throw tooManyNumbers(shader.fields.length, this.mostFields);
      found = this.device.checked(device => compile(device, shader));
      this.compiled.set(shader.code, found);
    }
    return found;
  }

  /** A place may be written again only when the commands that read it have been submitted. */
  private writeUniforms(fields: readonly Field[], bytes: number, numberFor: (field: Field) => number): number {
    if (this.next === PLACES) {
      this.device.submit();
      this.next = 0;
    }
    fields.forEach((field, i) => {
      const values = field.type === 'u32' ? this.integers : this.floats;
      values[i] = numberFor(field);
    });
    const offset = this.next * this.place;
    this.next += 1;
    this.device.write(this.uniforms, offset, this.staging, bytes);
    return offset;
  }
}

interface Compiled {
  readonly pipeline: GPUComputePipeline;
  readonly layout: GPUBindGroupLayout;
}

function tooManyNumbers(found: number, most: number): UnsupportedBackendError {
  return new UnsupportedBackendError({
    parameter: 'webgpu',
    found: `an update that reads ${found} numbers`,
    expected: `at most ${most}`,
    advice: 'Nest fewer subspaces, or compose with kernels: "reference".',
  });
}

function compile(device: GPUDevice, shader: Shader): Compiled {
  const layout = device.createBindGroupLayout({
    entries: [
      {
        binding: 0,
        visibility: GPUShaderStage.COMPUTE,
        buffer: { type: 'uniform', hasDynamicOffset: true },
      },
      ...shader.accesses.map((access, i) => ({
        binding: i + 1,
        visibility: GPUShaderStage.COMPUTE,
        buffer: { type: access === 'read' ? ('read-only-storage' as const) : ('storage' as const) },
      })),
    ],
  });
  const pipeline = device.createComputePipeline({
    layout: device.createPipelineLayout({ bindGroupLayouts: [layout] }),
    compute: { module: device.createShaderModule({ code: shader.code }), entryPoint: 'main' },
  });
  return { pipeline, layout };
}

/** What a device can do. */
function limitsOf({ device, isSoftware }: TensorDevice): DeviceLimits {
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

/** A tensor is larger than what the device lets a kernel bind or dispatch. */
export class DeviceLimitError extends FrugalError {
  constructor(complaint: Complaint) {
    super('out-of-memory', complaint);
    this.name = 'DeviceLimitError';
  }
}

/** A buffer that grows to the largest size asked for. Its contents last until the next call. */
export class ScratchBuffer {
  private buffer: GPUBuffer | null = null;

  constructor(
    private readonly device: TensorDevice,
    private readonly label: string,
  ) {}

  /** A buffer of at least so many 32-bit numbers. */
  atLeast(length: number): GPUBuffer {
    const size = 4 * Math.max(length, 64);
    if (this.buffer === null || this.buffer.size < size) {
      this.destroy();
      // COPY_SRC and COPY_DST let a debugger and a test look inside.
      const usage = GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_SRC | GPUBufferUsage.COPY_DST;
      this.buffer = this.device.device.createBuffer({ label: this.label, size, usage });
    }
    return this.buffer;
  }

  destroy(): void {
    if (this.buffer === null) return;
    // Commands that use it must have been submitted.
    this.device.submit();
    this.buffer.destroy();
    this.buffer = null;
  }
}
