import { InvalidCheckpointError } from '../errors.js';
import type { HostTensor } from './tensor-info.js';

/**
 * Elements as float32: F32 as they are, F16 and BF16 exactly, F64 to the nearest.
 *
 * @throws InvalidCheckpointError for other types.
 */
export function toFloat32({ name, dtype, data }: HostTensor): Float32Array {
  if (data instanceof Float32Array) return data;
  if (data instanceof Float64Array) return Float32Array.from(data);
  if (dtype === 'BF16') return fromBfloat16(data as Uint16Array);
  if (dtype === 'F16') return fromHalf(data as Uint16Array);
  throw new InvalidCheckpointError({ parameter: name, found: dtype, expected: 'F64, F32, F16 or BF16' });
}

/** A bfloat16 is the upper half of a float32. */
function fromBfloat16(data: Uint16Array): Float32Array {
  const bits = new Uint32Array(data.length);
  for (let i = 0; i < data.length; i++) bits[i] = data[i]! << 16;
  return new Float32Array(bits.buffer);
}

/** IEEE 754 binary16 by bits, so that the payload of a NaN survives. */
function fromHalf(data: Uint16Array): Float32Array {
  const bits = new Uint32Array(data.length);
  for (let i = 0; i < data.length; i++) bits[i] = halfBits(data[i]!);
  return new Float32Array(bits.buffer);
}

function halfBits(half: number): number {
  const sign = (half & 0x8000) << 16;
  const exponent = (half >>> 10) & 0x1f;
  const fraction = half & 0x3ff;
  if (exponent === 0x1f) return sign | 0x7f800000 | (fraction << 13);
  if (exponent !== 0) return sign | ((exponent + 112) << 23) | (fraction << 13);
  if (fraction === 0) return sign;
  // Subnormal: shift the leading one out.
  const shift = Math.clz32(fraction) - 21;
  return sign | ((113 - shift) << 23) | (((fraction << shift) & 0x3ff) << 13);
}
