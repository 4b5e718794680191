import { InvalidOptionError, sizeOf, UnknownNameError } from '@frugaljs/core';
import { type ByteSink, type ByteSource, InvalidCheckpointError } from './bytes.js';
import {
  DTYPES,
  type Dtype,
  elementBytes,
  type HostTensor,
  isArrayOf,
  isDtype,
  type TensorData,
  toFloat32,
  viewBytes,
  viewElements,
} from './elements.js';

export { DTYPES, type Dtype, type HostTensor, type TensorData, toFloat32 } from './elements.js';

/** What the header says about a tensor. */
export interface TensorInfo {
  readonly name: string;
  readonly dtype: Dtype;
  readonly shape: readonly number[];
  /** First byte and the byte after the last, counted from the end of the header. */
  readonly begin: number;
  readonly end: number;
}

/** A tensor to be written; the elements may be produced only when their turn comes. */
export interface TensorToWrite {
  readonly name: string;
  readonly dtype: Dtype;
  readonly shape: readonly number[];
  readonly data: TensorData | (() => TensorData | Promise<TensorData>);
}

/** An open safetensors file. Only the header is in memory; tensors are read one at a time. */
export class SafetensorsReader {
  private constructor(
    private readonly source: ByteSource,
    private readonly header: Header,
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

/** Bytes before the header: its length. */
const LENGTH_BYTES = 8;
/** Largest header that the reference implementation accepts. */
const LARGEST_HEADER = 100_000_000;
/** Most axes of a tensor. */
const MOST_AXES = 64;
/** Most tensors of a file; bounds what a header can make this process allocate. */
const MOST_TENSORS = 1_000_000;

/** What the header of a file says, and where the data starts. */
interface Header {
  readonly tensors: ReadonlyMap<string, TensorInfo>;
  readonly metadata: ReadonlyMap<string, string>;
  readonly dataStart: number;
}

/**
 * Reads and checks the header of a safetensors file: afterwards every tensor is known to lie in the file, to have the
 * length its shape asks for, and to touch its neighbors without gap or overlap.
 *
 * @param largest Largest accepted header in bytes. Default 100 MB, as in the reference implementation.
 * @throws InvalidCheckpointError naming the tensor or byte.
 */
async function readHeader(source: ByteSource, largest: number = LARGEST_HEADER): Promise<Header> {
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

function parseHeader(bytes: Uint8Array, label: string): Omit<Header, 'dataStart'> {
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

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const LONGEST_NUMBER = 16;
const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/**
 * Reads the tokens of a safetensors header. The grammar of the header is fixed and flat, so there is no recursion and
 * no value that the format does not have: deep nesting, fractions and unknown fields end at their first byte.
 */
class HeaderScanner {
  #at = 0;

  constructor(
    private readonly bytes: Uint8Array,
    private readonly label: string,
  ) {}

  /** Takes a punctuation character if it comes next. */
  accepts(character: string): boolean {
    this.#skipSpace();
    if (this.bytes[this.#at] !== character.charCodeAt(0)) return false;
    this.#at++;
    return true;
  }

  expect(character: string): void {
    if (!this.accepts(character)) throw this.complaint(`"${character}"`);
  }

  /** Reads the members of an object, each key followed by what `member` reads. */
  object(member: (key: string) => void): void {
    this.expect('{');
    if (this.accepts('}')) return;
    const keys = new Set<string>();
    do {
      const key = this.string();
      if (keys.has(key)) throw this.complaint('every key once', `the key ${JSON.stringify(key)} a second time`);
      keys.add(key);
      this.expect(':');
      member(key);
    } while (this.accepts(','));
    this.expect('}');
  }

  /** Reads a list of non-negative integers. */
  integers(longest: number): number[] {
    this.expect('[');
    const list: number[] = [];
    if (this.accepts(']')) return list;
    do {
      if (list.length === longest) throw this.complaint(`at most ${longest} numbers in a list`);
      list.push(this.integer());
    } while (this.accepts(','));
    this.expect(']');
    return list;
  }

  /** Reads a string. */
  string(): string {
    this.expect('"');
    const start = this.#at;
    let plain = true;
    for (; this.bytes[this.#at] !== QUOTE; this.#at++) {
      const byte = this.bytes[this.#at];
      if (byte === undefined || byte < 0x20) throw this.complaint('a closed string without control characters');
      if (byte === BACKSLASH) {
        plain = false;
        this.#at++;
      }
    }
    const end = this.#at++;
    try {
      if (plain) return utf8.decode(this.bytes.subarray(start, end));
      const text = JSON.parse(utf8.decode(this.bytes.subarray(start - 1, end + 1))) as string;
      if (!/\p{Surrogate}/u.test(text)) return text;
    } catch {
      // Reported below, with the place.
    }
    this.#at = start;
    throw this.complaint('a string in UTF-8 with the escapes of JSON');
  }

  /** Checks that nothing but space is left. */
  finish(): void {
    this.#skipSpace();
    if (this.#at < this.bytes.length) throw this.complaint('the end of the header');
  }

  complaint(expected: string, found: string = this.#rest()): InvalidCheckpointError {
    return new InvalidCheckpointError({
      parameter: `${this.label}: header at byte ${this.#at}`,
      found,
      expected,
      advice: 'The file was altered or is no safetensors file.',
    });
  }

  private integer(): number {
    this.#skipSpace();
    const start = this.#at;
    let value = 0;
    for (
      let byte = this.bytes[this.#at];
      byte !== undefined && byte >= 0x30 && byte <= 0x39;
      byte = this.bytes[this.#at]
    ) {
      value = 10 * value + (byte - 0x30);
      this.#at++;
      if (this.#at - start > LONGEST_NUMBER) break;
    }
    const length = this.#at - start;
    const leadingZero = length > 1 && this.bytes[start] === 0x30;
    if (length > 0 && !leadingZero && Number.isSafeInteger(value)) return value;
    this.#at = start;
    throw this.complaint('an integer from 0 to 2^53 - 1');
  }

  #skipSpace(): void {
    for (;;) {
      const byte = this.bytes[this.#at];
      if (byte !== 0x20 && byte !== 0x0a && byte !== 0x0d && byte !== 0x09) return;
      this.#at++;
    }
  }

  #rest(): string {
    if (this.#at >= this.bytes.length) return 'its end';
    return JSON.stringify(new TextDecoder().decode(this.bytes.subarray(this.#at, this.#at + 24)));
  }
}

/**
 * Encodes a header byte for byte as the reference implementation does: metadata first, then tensors with the widest
 * elements first and by name among equals, no space between tokens, and spaces at the end up to a multiple of eight
 * bytes, so that all data is aligned to its element size.
 *
 * @returns The first bytes of the file, and the tensors in the order in which their data must follow.
 * @throws InvalidOptionError for a name that appears twice or is not well-formed text, and for more tensors, axes or
 *   header than is read.
 */
function encodeHeader(
  tensors: readonly TensorToWrite[],
  metadata: Readonly<Record<string, string>>,
): { readonly bytes: Uint8Array; readonly order: readonly TensorToWrite[] } {
  if (tensors.length > MOST_TENSORS) throw complaint('tensors', `${tensors.length}`, `at most ${MOST_TENSORS}`);
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
    if (shape.length > MOST_AXES) throw complaint(`shape of ${name}`, `${shape.length} axes`, `at most ${MOST_AXES}`);
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
