import { InvalidCheckpointError } from './bytes.js';

/** The element types of safetensors. */
export type Dtype =
  | ('BOOL' | 'U8' | 'I8' | 'F8_E5M2' | 'F8_E4M3')
  | ('I16' | 'U16' | 'F16' | 'BF16' | 'I32' | 'U32' | 'F32')
  | ('F64' | 'I64' | 'U64');

/** Elements as they lie in the file: floats narrower than 32 bits and booleans as unsigned integers of their width. */
export type TensorData =
  | Uint8Array
  | Int8Array
  | Uint16Array
  | Int16Array
  | Uint32Array
  | Int32Array
  | Float32Array
  | Float64Array
  | BigInt64Array
  | BigUint64Array;

/** A tensor in the host's memory. */
export interface HostTensor {
  readonly name: string;
  readonly dtype: Dtype;
  readonly shape: readonly number[];
  readonly data: TensorData;
}

interface ElementType {
  readonly bytes: number;
  readonly view: new (buffer: ArrayBuffer) => TensorData;
}

/** In ascending order of the reference implementation, which writes the largest first. */
const ELEMENTS: Readonly<Record<Dtype, ElementType>> = {
  BOOL: { bytes: 1, view: Uint8Array },
  U8: { bytes: 1, view: Uint8Array },
  I8: { bytes: 1, view: Int8Array },
  F8_E5M2: { bytes: 1, view: Uint8Array },
  F8_E4M3: { bytes: 1, view: Uint8Array },
  I16: { bytes: 2, view: Int16Array },
  U16: { bytes: 2, view: Uint16Array },
  F16: { bytes: 2, view: Uint16Array },
  BF16: { bytes: 2, view: Uint16Array },
  I32: { bytes: 4, view: Int32Array },
  U32: { bytes: 4, view: Uint32Array },
  F32: { bytes: 4, view: Float32Array },
  F64: { bytes: 8, view: Float64Array },
  I64: { bytes: 8, view: BigInt64Array },
  U64: { bytes: 8, view: BigUint64Array },
};

/** All element types, in ascending order of the reference implementation. */
export const DTYPES: readonly Dtype[] = Object.keys(ELEMENTS) as Dtype[];

export function isDtype(name: string): name is Dtype {
  return Object.hasOwn(ELEMENTS, name);
}

/** Bytes of one element. */
export function elementBytes(dtype: Dtype): number {
  return ELEMENTS[dtype].bytes;
}

/** Views a whole buffer as elements. */
export function viewElements(dtype: Dtype, buffer: ArrayBuffer): TensorData {
  requireLittleEndian();
  return new ELEMENTS[dtype].view(buffer);
}

/** Views elements as bytes. */
export function viewBytes(data: TensorData): Uint8Array {
  requireLittleEndian();
  return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
}

/** True when the array is of the class that holds elements of this type. */
export function isArrayOf(dtype: Dtype, data: TensorData): boolean {
  return data instanceof ELEMENTS[dtype].view;
}

/** Safetensors files are little-endian and are viewed, not converted. */
function requireLittleEndian(): void {
  if (new Uint8Array(Uint16Array.of(1).buffer)[0] === 1) return;
  throw new InvalidCheckpointError({
    parameter: 'safetensors',
    found: 'a big-endian machine',
    expected: 'a little-endian one',
  });
}

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
