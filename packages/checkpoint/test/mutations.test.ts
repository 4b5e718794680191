import { FrugalError } from '@frugaljs/core';
import * as tf from '@tensorflow/tfjs-core';
import fc from 'fast-check';
import { afterAll, describe, expect, test } from 'vitest';
import { viewBytes } from '../src/elements.js';
import {
  bytesSource,
  Checkpoints,
  MemorySink,
  MemoryStore,
  openArchive,
  SafetensorsReader,
  SavedCheckpoint,
  writeArchive,
} from '../src/index.js';
import { makeModel } from './fixtures.js';
import { mutation } from './mutation.js';
import { adamLike } from './optimizers.js';

const RUNS = 12_500;
const LARGEST_GROWTH = 400 * 2 ** 20;
const atStart = process.memoryUsage().rss;

await tf.setBackend('cpu');
const model = makeModel();
const store = new MemoryStore();
const checkpoints = new Checkpoints({ store });
await checkpoints.save({
  step: 12,
  metric: 1.5,
  model: model.parameters,
  optimizer: adamLike(model),
  config: { hidden_size: 8, name: 'é' },
  trainer: { losses: [1, 0.5, Number.NaN], position: { batch: 3 } },
});
await checkpoints.settled();
const saved = (await checkpoints.latest())!;
const NAMES = [...Object.keys(saved.manifest.files), 'checkpoint.json'];
const files = new Map<string, Uint8Array>();
for (const name of NAMES) {
  const source = await saved.source(name);
  files.set(name, await source.read(0, source.size));
}
const contents = await readAll(saved);

/** Everything that can be read from a checkpoint, as text. */
async function readAll(checkpoint: SavedCheckpoint): Promise<string> {
  await checkpoint.verify();
  const readers = [await checkpoint.openModel(), (await checkpoint.openOptimizer())!];
  const tensors: string[] = [];
  for (const reader of readers) {
    for (const name of reader.tensors.keys()) {
      const { dtype, shape, data } = await reader.read(name);
      tensors.push(`${name} ${dtype} ${shape} ${Buffer.from(viewBytes(data)).toString('hex')}`);
    }
  }
  const { step, metric, manifest } = checkpoint;
  const [config, trainer] = [await checkpoint.config(), await checkpoint.trainer()];
  return JSON.stringify([tensors, step, metric, manifest, config, `${JSON.stringify(trainer)}${lossesOf(trainer)}`]);
}

function lossesOf(trainer: unknown): string {
  return String((trainer as { losses?: unknown[] } | null)?.losses?.map(String));
}

/** Runs something on hostile bytes: true if it worked, false for a typed error; anything else is a failure. */
async function survives(work: () => Promise<void>): Promise<boolean> {
  try {
    await work();
    return true;
  } catch (error) {
    if (error instanceof FrugalError && error.message.length < 2000) return false;
    throw error;
  }
}

afterAll(() => expect(process.memoryUsage().rss - atStart).toBeLessThan(LARGEST_GROWTH));

/** The header as another parser understands it: an oracle for what the reader accepts. */
function expectSameAsJson(bytes: Uint8Array, reader: SafetensorsReader, tensors: ReadonlyMap<string, string>): void {
  const length = Number(new DataView(bytes.buffer).getBigUint64(0, true));
  const header = JSON.parse(new TextDecoder().decode(bytes.subarray(8, 8 + length))) as Record<
    string,
    { dtype: string; shape: number[]; data_offsets: [number, number] }
  >;
  const names = Object.keys(header).filter(name => name !== '__metadata__');
  expect(new Set(names)).toEqual(new Set(reader.tensors.keys()));
  let end = 0;
  for (const name of names) {
    const { dtype, shape, data_offsets } = header[name]!;
    expect(reader.tensors.get(name)).toMatchObject({ dtype, shape, begin: data_offsets[0], end: data_offsets[1] });
    const [from, to] = data_offsets.map(offset => 8 + length + offset);
    expect(tensors.get(name)).toBe(Buffer.from(bytes.subarray(from, to)).toString('hex'));
    end = Math.max(end, data_offsets[1]);
  }
  expect(8 + length + end).toBe(bytes.length);
}

describe.each(['model.safetensors', 'optimizer.safetensors'])('%s on its own', name => {
  const original = files.get(name)!;
  const header = 8 + Number(new DataView(original.buffer).getBigUint64(0, true));
  test.each(['anywhere', 'in the header'])('mutated %s, it is refused or read as it is written', async where => {
    let accepted = 0;
    await fc.assert(
      fc.asyncProperty(mutation, async mutate => {
        const bytes =
          where === 'anywhere'
            ? mutate(original)
            : Uint8Array.from([...mutate(original.subarray(0, header)), ...original.subarray(header)]);
        const worked = await survives(async () => {
          const reader = await SafetensorsReader.open(bytesSource(bytes));
          const tensors = new Map<string, string>();
          for (const key of reader.tensors.keys()) {
            tensors.set(key, Buffer.from(viewBytes((await reader.read(key)).data)).toString('hex'));
          }
          expectSameAsJson(bytes, reader, tensors);
        });
        if (worked) accepted++;
      }),
      { numRuns: RUNS },
    );
    // Data may be anything, so that a share must be accepted, or the test tested nothing.
    expect(accepted).toBeGreaterThan(RUNS / 1000);
    expect(accepted).toBeLessThan(RUNS);
  });
});

test('a checkpoint with one file mutated is refused or the same', async () => {
  let accepted = 0;
  await fc.assert(
    fc.asyncProperty(mutation, fc.constantFrom(...NAMES), async (mutate, mutated) => {
      const all = new Map(files);
      all.set(mutated, mutate(all.get(mutated)!));
      const open = async (name: string) => (all.has(name) ? bytesSource(all.get(name)!, name) : null);
      const worked = await survives(async () => {
        expect(await readAll(await SavedCheckpoint.from({ name: 'x', file: open }))).toBe(contents);
      });
      if (worked) accepted++;
    }),
    { numRuns: 2 * RUNS },
  );
  // Those that changed nothing, or only white space of the manifest.
  expect(accepted).toBeLessThan(RUNS);
});

test('an archive mutated anywhere is refused or the same', async () => {
  const sink = new MemorySink();
  await writeArchive(saved, sink);
  const archive = sink.bytes();
  expect(await readAll(await openArchive(bytesSource(archive)))).toBe(contents);
  let accepted = 0;
  await fc.assert(
    fc.asyncProperty(mutation, async mutate => {
      const worked = await survives(async () => {
        expect(await readAll(await openArchive(bytesSource(mutate(archive), 'x.tar')))).toBe(contents);
      });
      if (worked) accepted++;
    }),
    { numRuns: 2 * RUNS },
  );
  // Padding, times and owners of the archive mean nothing to us.
  expect(accepted).toBeGreaterThan(0);
});
