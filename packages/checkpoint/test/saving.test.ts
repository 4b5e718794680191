import { truncateSync, writeFileSync } from 'node:fs';
import { compose } from '@frugaljs/composer';
import { adamW } from '@frugaljs/state-full';
import * as tf from '@tensorflow/tfjs-core';
import { beforeEach, describe, expect, test } from 'vitest';
import { temporaryFolder } from '../../../tools/test-support/folders.js';
import {
  BlobSink,
  blobSource,
  bytesSource,
  type CheckpointDraft,
  CheckpointStorageError,
  type CheckpointStore,
  Checkpoints,
  copyCheckpoint,
  MemorySink,
  MemoryStore,
  openArchive,
  writeArchive,
} from '../src/index.js';
import { FolderStore } from '../src/node/index.js';
import { bitsOf, makeModel } from './fixtures.js';

beforeEach(async () => {
  await tf.setBackend('cpu');
});

const weight = (value: number): { w: tf.Tensor } => ({ w: tf.fill([4], value) });

/** A store whose commits wait until they are let through, or fail. */
class GatedStore extends MemoryStore {
  open_: () => void = () => {};
  gate: Promise<void> = Promise.resolve();
  failure: Error | null = null;

  close_(): void {
    this.gate = new Promise(resolve => {
      this.open_ = resolve;
    });
  }

  override async begin(): Promise<CheckpointDraft> {
    const draft = await super.begin();
    return {
      ...draft,
      commit: async name => {
        await this.gate;
        if (this.failure !== null) throw this.failure;
        return draft.commit(name);
      },
    };
  }
}

async function namesOf(store: CheckpointStore): Promise<string[]> {
  return [...(await store.list())].sort();
}

describe('what is kept', () => {
  test('the last ones and the best', async () => {
    const store = new FolderStore(`${temporaryFolder()}/runs`);
    const checkpoints = new Checkpoints({ store, keepLast: 2, keepBest: 1 });
    for (const [step, metric] of [5, 3, 4, null, Number.NaN, 6].entries()) {
      await checkpoints.save({ step, metric, model: weight(step) }, { whileBusy: 'wait' });
    }
    await checkpoints.settled();
    expect(await namesOf(store)).toEqual(['step-000001', 'step-000004', 'step-000005']);
    expect((await checkpoints.best())!.step).toBe(1);
    expect((await checkpoints.latest())!.step).toBe(5);
    expect((await checkpoints.list()).map(({ step }) => step)).toEqual([5, 4, 1]);
  });

  test('after going back to an earlier step, what is saved last counts as last', async () => {
    const store = new MemoryStore();
    const first = new Checkpoints({ store, keepLast: 2, keepBest: 0 });
    for (const step of [10, 20, 30]) await first.save({ step, model: weight(step) }, { whileBusy: 'wait' });
    await first.settled();
    // Another process, which knows nothing but the store.
    const second = new Checkpoints({ store, keepLast: 2, keepBest: 0 });
    await second.save({ step: 21, model: weight(21) });
    await second.settled();
    expect((await second.latest())!.step).toBe(21);
    expect(await namesOf(store)).toEqual(['step-000021', 'step-000030']);
    await second.save({ step: 30, model: weight(-30) });
    await second.settled();
    expect(await namesOf(store)).toEqual(['step-000021', 'step-000030-2']);
    const reader = await (await second.latest())!.openModel();
    expect((await reader.read('w')).data).toEqual(new Float32Array(4).fill(-30));
  });

  test('nonsense is refused', () => {
    const store = new MemoryStore();
    expect(() => new Checkpoints({ store, keepLast: 0 })).toThrow('checkpoints.keepLast');
    expect(() => new Checkpoints({ store, keepBest: -1 })).toThrow('checkpoints.keepBest');
  });
});

describe('saving beside training', () => {
  test('a save resolves before it is written, and holds what was true when it began', async () => {
    const store = new GatedStore();
    store.close_();
    const model = makeModel();
    const before = bitsOf(model.parameters);
    const checkpoints = new Checkpoints({ store });
    const saving = (await checkpoints.save({ step: 1, model: model.parameters }))!;
    // In place, as fused kernels do.
    for (const variable of Object.values(model.parameters)) variable.dataSync().fill(7);
    expect(await checkpoints.save({ step: 2, model: model.parameters })).toBeNull();
    const third = checkpoints.save({ step: 3, model: model.parameters }, { whileBusy: 'wait' });
    expect(await store.list()).toEqual([]);
    store.open_();
    expect(await saving.done).toBe('step-000001');
    expect(await (await third)!.done).toBe('step-000003');
    const other = makeModelNamed();
    await (await checkpoints.open('step-000001')).restore({ model: other.parameters });
    expect(bitsOf(other.parameters)).toEqual(before);
    other.dispose();
    model.dispose();

    function makeModelNamed(): ReturnType<typeof makeModel> {
      model.dispose();
      return makeModel(3);
    }
  });

  test('many saves at once are written one after the other', async () => {
    const store = new MemoryStore();
    const checkpoints = new Checkpoints({ store, keepLast: 10 });
    const all = await Promise.all(
      [1, 2, 3, 4].map(step => checkpoints.save({ step, model: weight(step) }, { whileBusy: 'wait' })),
    );
    await checkpoints.settled();
    expect(all.map(saving => saving!.step)).toEqual([1, 2, 3, 4]);
    expect((await checkpoints.list()).map(({ manifest }) => [manifest.step, manifest.sequence])).toEqual([
      [4, 4],
      [3, 3],
      [2, 2],
      [1, 1],
    ]);
  });

  test('without a copy the checkpoint is there when save resolves', async () => {
    const store = new MemoryStore();
    const checkpoints = new Checkpoints({ store });
    const saving = await checkpoints.save({ step: 1, model: weight(1) }, { copy: false });
    expect(await store.list()).toEqual(['step-000001']);
    expect(await saving!.done).toBe('step-000001');
  });

  test('a write that failed is heard of at the next save, once, and saving goes on', async () => {
    const store = new GatedStore();
    const checkpoints = new Checkpoints({ store });
    store.failure = new CheckpointStorageError('full', { parameter: 'x', found: 'a full disk', expected: 'room' });
    const saving = (await checkpoints.save({ step: 1, model: weight(1) }))!;
    await expect(saving.done).rejects.toThrow('a full disk');
    await expect(checkpoints.save({ step: 2, model: weight(2) })).rejects.toThrow('a full disk');
    store.failure = null;
    await (await checkpoints.save({ step: 3, model: weight(3) }))!.done;
    await checkpoints.settled();
    store.failure = new Error('again');
    await expect(checkpoints.save({ step: 4, model: weight(4) }, { copy: false })).rejects.toThrow('again');
    store.failure = null;
    await checkpoints.settled();
    expect(await store.list()).toEqual(['step-000003']);
  });

  test.each([
    ['a store that fails', (): CheckpointStore => Object.assign(new GatedStore(), { failure: new Error('no room') })],
    [
      'a folder that cannot be written',
      (): CheckpointStore => {
        const folder = temporaryFolder();
        writeFileSync(`${folder}/file`, '');
        return Object.assign(new FolderStore(`${folder}/file`), { list: async () => [] });
      },
    ],
  ])('%s: settled() tells at once, and only once', async (_, make) => {
    const checkpoints = new Checkpoints({ store: make() });
    await checkpoints.save({ step: 1, model: weight(1) });
    await expect(checkpoints.settled()).rejects.toThrow(/no room|a file in the place of a folder/);
    await checkpoints.settled();
  });

  test('a save after one that failed is tried; that the earlier one failed is a warning', async () => {
    const store = new GatedStore();
    const warnings: string[] = [];
    const checkpoints = new Checkpoints({ store, onWarning: line => warnings.push(line) });
    store.failure = new Error('no room');
    await checkpoints.save({ step: 1, model: weight(1) });
    const second = checkpoints.save({ step: 2, model: weight(2) }, { whileBusy: 'wait' });
    await expect(second).rejects.toThrow('no room');
    expect(warnings).toEqual(['A checkpoint could not be written: no room']);
    await checkpoints.settled();

    await checkpoints.save({ step: 3, model: weight(3) });
    await checkpoints.latest();
    store.failure = null;
    const last = await checkpoints.save({ step: 4, model: weight(4) });
    expect(await store.list()).toEqual(['step-000004']);
    expect(await last!.done).toBe('step-000004');
    expect(warnings).toHaveLength(2);
    await checkpoints.settled();
  });

  test('release() warns of a write that failed, unless settled() has told', async () => {
    const store = Object.assign(new GatedStore(), { failure: new Error('no room') });
    const warnings: string[] = [];
    const checkpoints = new Checkpoints({ store, onWarning: line => warnings.push(line) });
    await checkpoints.save({ step: 1, model: weight(1) });
    await expect(checkpoints.settled()).rejects.toThrow('no room');
    await checkpoints.release();
    expect(warnings).toEqual([]);
    await checkpoints.save({ step: 2, model: weight(2) });
    await checkpoints.release();
    expect(warnings).toEqual(['A checkpoint could not be written: no room']);
    await checkpoints.settled();
  });

  test('a state that cannot be saved is refused before anything is written', async () => {
    const store = new MemoryStore();
    const checkpoints = new Checkpoints({ store });
    const model = weight(1);
    const refused: [object, string][] = [
      [{ step: -1 }, 'save.step'],
      [{ step: 1.5 }, 'save.step'],
      [{ metric: 'low' }, 'save.metric'],
      [{ trainer: { f: () => 1 } }, 'save.trainer.f'],
      [{ files: { '../x': '' } }, 'save.files'],
      [{ files: { 'model.safetensors': '' } }, 'save.files'],
      [{ model: { s: tf.tensor1d(['a']) } }, 'save: s: expected float32, int32 or bool, found string'],
      [{ optimizer: compose({ learningRate: 1, groups: [{ match: () => true, use: adamW() }] }) }, 'groups[0].match'],
    ];
    for (const [part, message] of refused) {
      await expect(checkpoints.save({ step: 1, model, ...part })).rejects.toThrow(message);
    }
    await checkpoints.settled();
    expect(await store.list()).toEqual([]);
    expect(await checkpoints.latest()).toBeNull();
    expect(await checkpoints.best()).toBeNull();
  });
});

test('thinning out keeps what is to be kept, and what is spared', async () => {
  const store = new MemoryStore();
  const many = new Checkpoints({ store, keepLast: 10 });
  for (const step of [1, 2, 3, 4, 5]) await many.save({ step, model: weight(step) }, { whileBusy: 'wait' });
  await many.settled();
  const few = new Checkpoints({ store, keepLast: 2, keepBest: 0 });
  await few.thinOut(['step-000002']);
  expect([...(await store.list())].sort()).toEqual(['step-000002', 'step-000004', 'step-000005']);
  await few.thinOut();
  expect([...(await store.list())].sort()).toEqual(['step-000004', 'step-000005']);
});

test('differences that the caller knows of count like those that are found', async () => {
  const store = new MemoryStore();
  const checkpoints = new Checkpoints({ store });
  const model = weight(1);
  await checkpoints.save({ step: 1, model });
  await checkpoints.settled();
  const saved = (await checkpoints.latest())!;
  const differences = [{ path: 'text', saved: '"a"', now: '"b"' }];
  const refused = saved.restore({ model: model as never, differences });
  await expect(refused).rejects.toMatchObject({ code: 'checkpoint-mismatch', differences });
  await expect(refused).rejects.toThrow('text: saved "a", now "b"');
});

test('latest passes over what was altered, and says so', async () => {
  const folder = temporaryFolder();
  const store = new FolderStore(folder);
  const warnings: string[] = [];
  const checkpoints = new Checkpoints({ store, onWarning: line => warnings.push(line) });
  for (const step of [1, 2, 3]) await checkpoints.save({ step, model: weight(step) }, { whileBusy: 'wait' });
  await checkpoints.settled();
  truncateSync(`${folder}/step-000003/model.safetensors`, 50);
  writeFileSync(`${folder}/step-000002/checkpoint.json`, '{');
  expect((await checkpoints.latest())!.step).toBe(1);
  expect(warnings).toEqual([
    expect.stringMatching(/^step-000002 is passed over: .*checkpoint\.json: expected JSON/),
    expect.stringMatching(/^step-000003 is passed over: .*model\.safetensors: expected \d+, found 50 bytes/),
  ]);
});

test('a checkpoint travels as one file and comes back byte for byte', async () => {
  const store = new FolderStore(temporaryFolder());
  const checkpoints = new Checkpoints({ store });
  const files = { 'tokenizer.json': '{"é":1}', 'notes.bin': Uint8Array.of(0, 255) };
  await checkpoints.save({ step: 7, model: weight(7), config: { hidden_size: 4 }, trainer: [1], files });
  await checkpoints.settled();
  const saved = (await checkpoints.latest())!;
  const download = new BlobSink();
  await writeArchive(saved, download);
  const blob = download.blob();
  expect(blob.size % 512).toBe(0);

  const uploaded = await openArchive(blobSource(blob, 'upload.tar'));
  expect(uploaded.name).toBe('step-000007');
  const target = new MemoryStore();
  expect(await copyCheckpoint(uploaded, target)).toBe('step-000007');
  const copied = await new Checkpoints({ store: target }).latest();
  expect(copied!.manifest).toEqual(saved.manifest);
  expect(await copied!.config()).toEqual({ hidden_size: 4 });
  expect(await copied!.file('notes.bin')).toEqual(Uint8Array.of(0, 255));
  expect(await copied!.json('tokenizer.json')).toEqual({ é: 1 });
  expect(await copied!.file('absent')).toBeNull();

  const sink = new MemorySink();
  await writeArchive(copied!, sink);
  expect(Buffer.compare(sink.bytes(), new Uint8Array(await blob.arrayBuffer()))).toBe(0);
});

test.each([
  ['nothing', new Uint8Array(0)],
  ['zeros', new Uint8Array(4096)],
  ['noise', new Uint8Array(4096).fill(0x41)],
])('%s is no archive', async (_, bytes) => {
  await expect(openArchive(bytesSource(bytes, 'upload.tar'))).rejects.toMatchObject({ code: 'invalid-checkpoint' });
});
