import { UnknownNameError } from '@frugaljs/core';
import type { ByteSource } from '../bytes/source.js';
import { viewElements } from './dtype.js';
import { type LocatedHeader, readHeader } from './read-header.js';
import type { HostTensor, TensorInfo } from './tensor-info.js';
import { toFloat32 } from './to-float32.js';

/** An open safetensors file. Only the header is in memory; tensors are read one at a time. */
export class SafetensorsReader {
  private constructor(
    private readonly source: ByteSource,
    private readonly header: LocatedHeader,
  ) {}

  /**
   * Reads and checks the header.
   *
   * @param largestHeader In bytes; default 100 MB, as in the reference implementation.
   * @throws InvalidCheckpointError naming what is wrong.
   */
  static async open(
    source: ByteSource,
    { largestHeader }: { largestHeader?: number } = {},
  ): Promise<SafetensorsReader> {
    return new SafetensorsReader(source, await readHeader(source, largestHeader));
  }

  /** The tensors by name, in the order of the header. */
  get tensors(): ReadonlyMap<string, TensorInfo> {
    return this.header.tensors;
  }

  /** The text under `__metadata__`. */
  get metadata(): ReadonlyMap<string, string> {
    return this.header.metadata;
  }

  /** Reads one tensor as it lies in the file. */
  async read(name: string): Promise<HostTensor> {
    const info = this.header.tensors.get(name);
    if (info === undefined) {
      throw new UnknownNameError({ parameter: this.source.label, found: name, expected: 'the name of a tensor in it' });
    }
    const { dtype, shape, begin, end } = info;
    const bytes = await this.source.read(this.header.dataStart + begin, end - begin);
    return { name, dtype, shape, data: viewElements(dtype, bytes.buffer) };
  }

  /**
   * Reads one tensor of floats and converts it: F16 and BF16 exactly, F64 to the nearest float32.
   *
   * @throws InvalidCheckpointError for integers, booleans and 8-bit floats.
   */
  async readFloat32(name: string): Promise<Float32Array> {
    return toFloat32(await this.read(name));
  }

  /** Closes the file. */
  async close(): Promise<void> {
    await this.source.close();
  }
}
