import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { elementBytes, viewBytes, viewElements } from '../src/elements.js';
import {
  bytesSource,
  DTYPES,
  type Dtype,
  type HostTensor,
  MemorySink,
  SafetensorsReader,
  type TensorToWrite,
  toFloat32,
  writeSafetensors,
} from '../src/index.js';

const name = fc.oneof(
  fc.string({ unit: 'grapheme', maxLength: 12 }),
  fc.constantFrom('model.norm.weight', '__proto__', 'constructor', '', 'a"b\\c\n', '\u{1f600}', '\ue000', '\u2028'),
);

/** A tensor of any type with any bits, NaN payloads included. */
const tensor: fc.Arbitrary<HostTensor> = fc
  .record({
    name: name.filter(text => text !== '__metadata__'),
    dtype: fc.constantFrom(...DTYPES),
    shape: fc.array(fc.integer({ min: 0, max: 4 }), { maxLength: 4 }),
  })
  .chain(({ name: key, dtype, shape }) => {
    const bytes = shape.reduce((product, extent) => product * extent, elementBytes(dtype));
    return fc.uint8Array({ minLength: bytes, maxLength: bytes }).map(data => ({
      name: key,
      dtype,
      shape,
      data: viewElements(dtype, data.slice().buffer),
    }));
  });

async function write(tensors: readonly TensorToWrite[], metadata?: Record<string, string>): Promise<Uint8Array> {
  const sink = new MemorySink();
  await writeSafetensors(sink, tensors, metadata);
  return sink.bytes();
}

function hex({ data }: Pick<HostTensor, 'data'>): string {
  return Buffer.from(viewBytes(data)).toString('hex');
}

function headerOf(file: Uint8Array): { length: number; text: string } {
  const length = Number(new DataView(file.buffer).getBigUint64(0, true));
  return { length, text: new TextDecoder().decode(file.subarray(8, 8 + length)) };
}

test('tensors of every type, shape and name come back bit for bit', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.uniqueArray(tensor, { selector: ({ name: key }) => key, maxLength: 8 }),
      fc.dictionary(name, fc.string({ unit: 'grapheme' }), { maxKeys: 4 }),
      async (tensors, metadata) => {
        const reader = await SafetensorsReader.open(bytesSource(await write(tensors, metadata)));
        expect(Object.fromEntries(reader.metadata)).toEqual({ ...metadata });
        expect(new Set(reader.tensors.keys())).toEqual(new Set(tensors.map(each => each.name)));
        for (const { name: key, dtype, shape, data } of tensors) {
          const read = await reader.read(key);
          expect(read).toMatchObject({ name: key, dtype, shape });
          expect(hex(read)).toBe(hex({ data }));
        }
      },
    ),
    { numRuns: 500 },
  );
});

test('data is aligned to its elements and lies in the order of the reference implementation', async () => {
  await fc.assert(
    fc.asyncProperty(fc.uniqueArray(tensor, { selector: ({ name: key }) => key, maxLength: 8 }), async tensors => {
      const file = await write(tensors);
      const { length, text } = headerOf(file);
      expect(length % 8).toBe(0);
      expect(text).toMatch(/\} {0,7}$/);
      const reader = await SafetensorsReader.open(bytesSource(file));
      const infos = [...reader.tensors.values()];
      for (const { dtype, begin } of infos) expect((8 + length + begin) % elementBytes(dtype)).toBe(0);
      const ranks = infos.map(({ dtype }) => DTYPES.indexOf(dtype));
      expect(ranks).toEqual([...ranks].sort((a, b) => b - a));
    }),
    { numRuns: 200 },
  );
});

test('the bytes of a small file, one by one', async () => {
  const file = await write(
    [
      { name: 'b', dtype: 'F32', shape: [1], data: Float32Array.of(1) },
      { name: 'a', dtype: 'F32', shape: [], data: Float32Array.of(-2) },
    ],
    { format: 'pt' },
  );
  const header =
    '{"__metadata__":{"format":"pt"},"a":{"dtype":"F32","shape":[],"data_offsets":[0,4]},"b":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}';
  const { length, text } = headerOf(file);
  expect(text.trimEnd()).toBe(header);
  expect(length).toBe(Math.ceil(header.length / 8) * 8);
  expect([...file.subarray(8 + length)]).toEqual([0, 0, 0, 0xc0, 0, 0, 0x80, 0x3f]);
});

test('the writer asks for one tensor at a time, in the order of the file', async () => {
  const asked: string[] = [];
  const chunks: number[] = [];
  const make = (key: string, dtype: Dtype): TensorToWrite => ({
    name: key,
    dtype,
    shape: [4],
    data: async () => {
      asked.push(`${key} after ${chunks.length} writes`);
      return viewElements(dtype, new ArrayBuffer(4 * elementBytes(dtype)));
    },
  });
  const sink = { write: async (chunk: Uint8Array) => void chunks.push(chunk.byteLength), close: async () => {} };
  await writeSafetensors(sink, [make('y', 'U8'), make('x', 'U8'), make('z', 'F64')]);
  expect(asked).toEqual(['z after 1 writes', 'x after 2 writes', 'y after 3 writes']);
  expect(chunks.slice(1)).toEqual([32, 4, 4]);
});

test('the reader reads the header and the tensor asked for, and nothing else', async () => {
  const file = await write([
    { name: 'large', dtype: 'F32', shape: [1000], data: new Float32Array(1000) },
    { name: 'small', dtype: 'I32', shape: [2], data: Int32Array.of(7, 8) },
  ]);
  const reads: [number, number][] = [];
  const source = bytesSource(file);
  const reader = await SafetensorsReader.open({
    ...source,
    read: (offset, length) => {
      reads.push([offset, length]);
      return source.read(offset, length);
    },
  });
  const { length } = headerOf(file);
  expect((await reader.read('small')).data).toEqual(Int32Array.of(7, 8));
  expect(reads).toEqual([
    [0, 8],
    [8, length],
    [8 + length + 4000, 8],
  ]);
});

describe('conversion to float32', () => {
  const convert = (dtype: Dtype, data: HostTensor['data']): Float32Array =>
    toFloat32({ name: 'x', dtype, shape: [data.length], data });

  test('every half', () => {
    const all = Uint16Array.from({ length: 65536 }, (_, i) => i);
    const values = convert('F16', all);
    all.forEach((half, i) => {
      const sign = half & 0x8000 ? -1 : 1;
      const exponent = (half >> 10) & 31;
      const fraction = half & 1023;
      const expected =
        exponent === 31
          ? fraction === 0
            ? sign * Number.POSITIVE_INFINITY
            : Number.NaN
          : exponent === 0
            ? sign * fraction * 2 ** -24
            : sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
      if (!Object.is(values[i], expected)) throw new Error(`half ${half}: ${values[i]}, not ${expected}`);
    });
  });

  test('every bfloat16', () => {
    const all = Uint16Array.from({ length: 65536 }, (_, i) => i);
    const bits = new Uint32Array(convert('BF16', all).buffer);
    expect(bits.every((value, i) => value === i * 65536)).toBe(true);
  });

  test('float64 to the nearest, float32 as it is, nothing else', () => {
    expect(convert('F64', Float64Array.of(0.1, 1e300, -0))).toEqual(
      Float32Array.of(Math.fround(0.1), Number.POSITIVE_INFINITY, -0),
    );
    const same = Float32Array.of(1);
    expect(convert('F32', same)).toBe(same);
    expect(() => convert('I32', Int32Array.of(1))).toThrow('x: expected F64, F32, F16 or BF16, found I32');
  });
});

describe('what makes no file is refused', () => {
  const ones = (key: string): TensorToWrite => ({ name: key, dtype: 'F32', shape: [1], data: Float32Array.of(1) });
  test.each<[string, TensorToWrite[], RegExp]>([
    ['a name twice', [ones('a'), ones('a')], /tensor "a".*a name of its own/],
    ['the name of the metadata', [ones('__metadata__')], /a name of its own/],
    ['a lone surrogate', [ones('\ud800')], /well-formed Unicode/],
    ['a fractional shape', [{ ...ones('a'), shape: [1.5] }], /non-negative integers/],
    [
      'data of another length',
      [{ ...ones('a'), shape: [2] }],
      /data of a: expected 8 bytes of F32 \[2\], found Float32Array of 4/,
    ],
    ['data of another type', [{ ...ones('a'), data: Int32Array.of(1) }], /found Int32Array/],
  ])('%s', async (_, tensors, message) => {
    await expect(write(tensors)).rejects.toThrow(message);
  });
});
