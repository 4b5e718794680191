import type { ByteSource } from '../bytes/source.js';
import { InvalidCheckpointError } from '../errors.js';
import { type Dtype, elementBytes, isDtype } from './dtype.js';
import { HeaderScanner } from './header-scanner.js';
import type { SafetensorsHeader, TensorInfo } from './tensor-info.js';

/** Bytes before the header: its length. */
export const LENGTH_BYTES = 8;
/** Largest header that the reference implementation accepts. */
export const LARGEST_HEADER = 100_000_000;
/** Most axes of a tensor. */
const MOST_AXES = 64;
/** Most tensors of a file; bounds what a header can make this process allocate. */
const MOST_TENSORS = 1_000_000;

/** A header and where the data starts. */
export interface LocatedHeader extends SafetensorsHeader {
  readonly dataStart: number;
}

/**
 * Reads and checks the header of a safetensors file: afterwards every tensor is known to lie in the file, to have the
 * length its shape asks for, and to touch its neighbors without gap or overlap.
 *
 * @param largest Largest accepted header in bytes. Default 100 MB, as in the reference implementation.
 * @throws InvalidCheckpointError naming the tensor or byte.
 */
export async function readHeader(source: ByteSource, largest: number = LARGEST_HEADER): Promise<LocatedHeader> {
  const { label, size } = source;
  if (size < LENGTH_BYTES) {
    throw new InvalidCheckpointError({
      parameter: label,
      found: `${size} bytes`,
      expected: `at least ${LENGTH_BYTES}`,
      advice: 'The file is cut off or no safetensors file.',
    });
  }
  const first = await source.read(0, LENGTH_BYTES);
  const length = new DataView(first.buffer).getBigUint64(0, true);
  if (length > BigInt(largest) || length > BigInt(size - LENGTH_BYTES)) {
    throw new InvalidCheckpointError({
      parameter: `${label}: header length`,
      found: `${length} in a file of ${size} bytes`,
      expected: `at most ${Math.min(largest, size - LENGTH_BYTES)}`,
      advice: 'The file is cut off, altered, or no safetensors file.',
    });
  }
  const bytes = await source.read(LENGTH_BYTES, Number(length));
  const header = parseHeader(bytes, label);
  const dataStart = LENGTH_BYTES + Number(length);
  requireTiled(header.tensors, size - dataStart, label);
  return { ...header, dataStart };
}

function parseHeader(bytes: Uint8Array, label: string): SafetensorsHeader {
  const scanner = new HeaderScanner(bytes, label);
  const tensors = new Map<string, TensorInfo>();
  const metadata = new Map<string, string>();
  if (bytes[0] !== 0x7b) throw scanner.complaint('"{" as the first byte');
  scanner.object(key => {
    if (key === '__metadata__') {
      scanner.object(name => metadata.set(name, scanner.string()));
    } else {
      if (tensors.size === MOST_TENSORS) throw scanner.complaint(`at most ${MOST_TENSORS} tensors`);
      tensors.set(key, readTensor(scanner, key));
    }
  });
  scanner.finish();
  return { tensors, metadata };
}

function readTensor(scanner: HeaderScanner, name: string): TensorInfo {
  let dtype: Dtype | undefined;
  let shape: number[] | undefined;
  let offsets: number[] | undefined;
  scanner.object(field => {
    if (field === 'dtype') {
      const found = scanner.string();
      if (!isDtype(found)) throw scanner.complaint('an element type of safetensors', `${name} of type ${found}`);
      dtype = found;
    } else if (field === 'shape') shape = scanner.integers(MOST_AXES);
    else if (field === 'data_offsets') offsets = scanner.integers(2);
    else throw scanner.complaint('dtype, shape and data_offsets', `${name} with ${JSON.stringify(field)}`);
  });
  if (dtype === undefined || shape === undefined || offsets?.length !== 2) {
    throw scanner.complaint('dtype, shape and two data_offsets', `${name} without one of them`);
  }
  const [begin, end] = offsets as [number, number];
  let bytes = elementBytes(dtype);
  for (const extent of shape) bytes *= extent;
  if (!(bytes <= Number.MAX_SAFE_INTEGER) || end - begin !== bytes) {
    const expected = `${bytes} bytes, which the shape asks for`;
    throw scanner.complaint(expected, `${end - begin} bytes for ${name}, ${dtype} [${shape.join(', ')}]`);
  }
  return { name, dtype, shape, begin, end };
}

/** Checks that tensors fill the data from end to end; an unlisted gap could hide anything, an overlap aliases. */
function requireTiled(tensors: ReadonlyMap<string, TensorInfo>, size: number, label: string): void {
  const inOrder = [...tensors.values()].sort((a, b) => a.begin - b.begin || a.end - b.end);
  let at = 0;
  for (const { name, begin, end } of inOrder) {
    if (begin !== at) {
      throw new InvalidCheckpointError({
        parameter: `${label}: data_offsets of ${name}`,
        found: `${begin}, ${begin < at ? 'inside the tensor before it' : 'after a gap'}`,
        expected: `${at}`,
        advice: 'The file was altered.',
      });
    }
    at = end;
  }
  if (at === size) return;
  throw new InvalidCheckpointError({
    parameter: `${label}: data`,
    found: `${size} bytes`,
    expected: `the ${at} bytes that the header lists`,
    advice: at > size ? 'The file is cut off.' : 'Something was appended to the file.',
  });
}
