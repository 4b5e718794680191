import { InvalidOptionError, sizeOf } from '@frugaljs/core';
import type { ByteSink } from '../bytes/sink.js';
import { elementBytes, isArrayOf, viewBytes } from './dtype.js';
import type { TensorToWrite } from './tensor-info.js';
import { encodeHeader } from './write-header.js';

/**
 * Writes a safetensors file tensor by tensor: never more than one of them is asked for at a time. Does not close the
 * sink.
 *
 * @param metadata Text by name, for `__metadata__`.
 * @throws InvalidOptionError for tensors that make no file, before or while it is written.
 */
export async function writeSafetensors(
  sink: ByteSink,
  tensors: readonly TensorToWrite[],
  metadata: Readonly<Record<string, string>> = {},
): Promise<void> {
  const { bytes, order } = encodeHeader(tensors, metadata);
  await sink.write(bytes);
  for (const { name, dtype, shape, data } of order) {
    const elements = typeof data === 'function' ? await data() : data;
    const expected = sizeOf(shape) * elementBytes(dtype);
    if (!isArrayOf(dtype, elements) || elements.byteLength !== expected) {
      throw new InvalidOptionError({
        parameter: `safetensors: data of ${name}`,
        found: `${elements.constructor.name} of ${elements.byteLength} bytes`,
        expected: `${expected} bytes of ${dtype} [${shape.join(', ')}]`,
      });
    }
    await sink.write(viewBytes(elements));
  }
}
