import { UnsupportedBackendError } from '@frugaljs/core/errors';
import type { Field, Shader } from '../wgsl/shader.js';
import type { TensorDevice } from './tensor-device.js';

interface Compiled {
  readonly pipeline: GPUComputePipeline;
  readonly layout: GPUBindGroupLayout;
}

/** Uniforms of one dispatch lie in one place of a buffer; places are given out in turn. */
const PLACES = 512;

/** Compiles kernels, once per text, and adds their dispatches to the commands of tfjs. */
export class Dispatcher {
  private readonly compiled = new Map<string, Compiled>();
  private readonly uniforms: GPUBuffer;
  private readonly place: number;
  private readonly alignment: number;
  private readonly staging: ArrayBuffer;
  private readonly integers: Uint32Array;
  private readonly floats: Float32Array;
  private next = 0;

  constructor(readonly device: TensorDevice) {
    const { limits } = device.device;
    this.alignment = limits.minUniformBufferOffsetAlignment;
    // Deep splits have some dozens of numbers.
    this.place = Math.max(1024, this.alignment);
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

  /** Largest number of workgroups along one dimension. */
  get mostGroups(): number {
    return this.device.device.limits.maxComputeWorkgroupsPerDimension;
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
