import { InvalidOptionError } from '@frugaljs/core';
import { DTYPES, elementBytes } from './dtype.js';
import { LARGEST_HEADER, LENGTH_BYTES } from './read-header.js';
import type { TensorToWrite } from './tensor-info.js';

/** The first bytes of a file, and the tensors in the order in which their data must follow. */
export interface EncodedHeader<T> {
  readonly bytes: Uint8Array;
  readonly order: readonly T[];
}

/**
 * Encodes a header byte for byte as the reference implementation does: metadata first, then tensors with the widest
 * elements first and by name among equals, no space between tokens, and spaces at the end up to a multiple of eight
 * bytes, so that all data is aligned to its element size.
 *
 * @throws InvalidOptionError for a name that appears twice or is not well-formed text, or a header above 100 MB.
 */
export function encodeHeader<T extends Omit<TensorToWrite, 'data'>>(
  tensors: readonly T[],
  metadata: Readonly<Record<string, string>> = {},
): EncodedHeader<T> {
  const keyed = tensors.map(tensor => ({ tensor, key: encode(tensor.name) }));
  keyed.sort((a, b) => DTYPES.indexOf(b.tensor.dtype) - DTYPES.indexOf(a.tensor.dtype) || compareBytes(a.key, b.key));
  const seen = new Set<string>(['__metadata__']);
  const members: string[] = [];
  if (Object.keys(metadata).length > 0) {
    for (const text of Object.entries(metadata).flat()) encode(text);
    members.push(`"__metadata__":${JSON.stringify(metadata)}`);
  }
  let at = 0;
  for (const { tensor } of keyed) {
    const { name, dtype, shape } = tensor;
    if (seen.has(name)) throw complaint(`tensor ${JSON.stringify(name)}`, 'a name used before', 'a name of its own');
    seen.add(name);
    const end = at + shape.reduce((bytes, extent) => bytes * extent, elementBytes(dtype));
    if (!Number.isSafeInteger(end) || !shape.every(extent => Number.isSafeInteger(extent) && extent >= 0)) {
      throw complaint(`shape of ${name}`, `[${shape}]`, 'non-negative integers');
    }
    members.push(`${JSON.stringify(name)}:${JSON.stringify({ dtype, shape, data_offsets: [at, end] })}`);
    at = end;
  }
  const json = new TextEncoder().encode(`{${members.join(',')}}`);
  const length = Math.ceil(json.byteLength / LENGTH_BYTES) * LENGTH_BYTES;
  if (length > LARGEST_HEADER) throw complaint('header', `${length} bytes`, `at most ${LARGEST_HEADER}`);
  const bytes = new Uint8Array(LENGTH_BYTES + length).fill(0x20);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(length), true);
  bytes.set(json, LENGTH_BYTES);
  return { bytes, order: keyed.map(({ tensor }) => tensor) };
}

function encode(text: string): Uint8Array {
  // A lone surrogate has no UTF-8 and would come back as another name.
  if (/\p{Surrogate}/u.test(text)) throw complaint('name', JSON.stringify(text), 'well-formed Unicode');
  return new TextEncoder().encode(text);
}

function compareBytes(a: Uint8Array, b: Uint8Array): number {
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i++) if (a[i] !== b[i]) return a[i]! - b[i]!;
  return a.length - b.length;
}

function complaint(what: string, found: string, expected: string): InvalidOptionError {
  return new InvalidOptionError({ parameter: `safetensors: ${what}`, found, expected });
}
