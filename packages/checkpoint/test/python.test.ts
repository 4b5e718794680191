import { readFileSync, writeFileSync } from 'node:fs';
import * as tf from '@tensorflow/tfjs-core';
import { describe, expect, test } from 'vitest';
import { temporaryFolder } from '../../../tools/test-support/folders.js';
import { findPython, runPython } from '../../../tools/test-support/python.js';
import { elementBytes, viewBytes, viewElements } from '../src/elements.js';
import {
  Checkpoints,
  DTYPES,
  type Dtype,
  type HostTensor,
  MemorySink,
  SafetensorsReader,
  writeSafetensors,
} from '../src/index.js';
import { FolderStore, fileSource } from '../src/node/index.js';
import '@tensorflow/tfjs-backend-cpu';

const python = findPython('safetensors and numpy', 'import numpy, safetensors.numpy');

/** What numpy and its kin call the types. */
const PYTHON_NAMES: Readonly<Record<Dtype, string>> = {
  BOOL: 'bool',
  U8: 'uint8',
  I8: 'int8',
  F8_E5M2: 'float8_e5m2',
  F8_E4M3: 'float8_e4m3fn',
  I16: 'int16',
  U16: 'uint16',
  F16: 'float16',
  BF16: 'bfloat16',
  I32: 'int32',
  U32: 'uint32',
  F32: 'float32',
  F64: 'float64',
  I64: 'int64',
  U64: 'uint64',
};

/** Types that numpy has no name for, and that safetensors gives numpy as bytes or not at all. */
const NOT_IN_NUMPY = ['BF16', 'F8_E4M3', 'F8_E5M2'];

const tensors: HostTensor[] = DTYPES.map((dtype, i) => {
  const bytes = Uint8Array.from({ length: 6 * elementBytes(dtype) }, (_, k) =>
    dtype === 'BOOL' ? k % 2 : (37 * k + i) % 251,
  );
  return { name: `t.${dtype.toLowerCase()}.é`, dtype, shape: [2, 3], data: viewElements(dtype, bytes.buffer) };
});
const inNumpy = tensors.filter(({ dtype }) => !NOT_IN_NUMPY.includes(dtype));
const hex = (data: HostTensor['data']): string => Buffer.from(viewBytes(data)).toString('hex');

describe.skipIf(python === null)("Python's safetensors", () => {
  test('reads what is written here, and writes the same bytes', async () => {
    const folder = temporaryFolder();
    const sink = new MemorySink();
    await writeSafetensors(sink, inNumpy, { format: 'np' });
    writeFileSync(`${folder}/ours.safetensors`, sink.bytes());
    const printed = runPython(
      python!,
      `
import json, sys
from safetensors.numpy import load_file, save_file
from safetensors import safe_open
loaded = load_file(sys.argv[1])
save_file(dict(reversed(loaded.items())), sys.argv[2], metadata={'format': 'np'})
with safe_open(sys.argv[1], 'np') as f: metadata = f.metadata()
print(json.dumps([{k: [str(v.dtype), list(v.shape), v.tobytes().hex()] for k, v in loaded.items()}, metadata]))
`,
      `${folder}/ours.safetensors`,
      `${folder}/theirs.safetensors`,
    );
    const [loaded, metadata] = JSON.parse(printed);
    expect(metadata).toEqual({ format: 'np' });
    expect(Object.keys(loaded).sort()).toEqual(inNumpy.map(({ name }) => name).sort());
    for (const { name, shape, data } of inNumpy) expect(loaded[name].slice(1)).toEqual([shape, hex(data)]);
    expect(Buffer.compare(readFileSync(`${folder}/theirs.safetensors`), sink.bytes())).toBe(0);
  });

  test('is read here, all types', async () => {
    const path = `${temporaryFolder()}/theirs.safetensors`;
    // The serializer takes bytes of any type, so that those numpy has no name for are tried too.
    runPython(
      python!,
      `
import json, sys
import numpy as np, safetensors
rows = [(n, d, s, np.frombuffer(bytes.fromhex(h), np.uint8)) for n, d, s, h in json.loads(sys.argv[2])]
if hasattr(safetensors, 'TensorSpec'):
    spec = lambda d, s, a: safetensors.TensorSpec(dtype=d, shape=s, data_ptr=a.ctypes.data, data_len=a.nbytes)
else:
    spec = lambda d, s, a: {'dtype': d, 'shape': s, 'data': a.tobytes()}
safetensors.serialize_file({n: spec(d, s, a) for n, d, s, a in rows}, sys.argv[1], {'a': 'b"\\u00e9'})
`,
      path,
      JSON.stringify(tensors.map(({ name, dtype, shape, data }) => [name, PYTHON_NAMES[dtype], shape, hex(data)])),
    );
    const reader = await SafetensorsReader.open(await fileSource(path));
    expect(Object.fromEntries(reader.metadata)).toEqual({ a: 'b"é' });
    expect(reader.tensors.size).toBe(tensors.length);
    for (const { name, dtype, shape, data } of tensors) {
      const read = await reader.read(name);
      expect(read).toMatchObject({ dtype, shape });
      expect(hex(read.data)).toBe(hex(data));
    }
    await reader.close();
    const sink = new MemorySink();
    await writeSafetensors(sink, tensors, { a: 'b"é' });
    expect(Buffer.compare(readFileSync(path), sink.bytes())).toBe(0);
  });

  test('opens the files of a checkpoint', async () => {
    await tf.setBackend('cpu');
    const folder = temporaryFolder();
    const checkpoints = new Checkpoints({ store: new FolderStore(folder) });
    const model = { 'model.norm.weight': tf.tensor1d([1.5, -2]), 'lm_head.weight': tf.tensor2d([[1, 2, 3]]) };
    await checkpoints.save({ step: 3, model });
    await checkpoints.settled();
    const printed = runPython(
      python!,
      `
import json, sys
from safetensors import safe_open
with safe_open(sys.argv[1], 'np') as f:
    print(json.dumps([f.metadata(), {k: f.get_tensor(k).tolist() for k in f.keys()}]))
`,
      `${folder}/step-000003/model.safetensors`,
    );
    expect(JSON.parse(printed)).toEqual([
      { format: 'pt' },
      { 'model.norm.weight': [1.5, -2], 'lm_head.weight': [[1, 2, 3]] },
    ]);
  });
});
