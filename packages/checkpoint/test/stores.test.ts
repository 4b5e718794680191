import { existsSync, mkdirSync, readdirSync, utimesSync, writeFileSync } from 'node:fs';
import { IDBFactory } from 'fake-indexeddb';
import { describe, expect, test } from 'vitest';
import { temporaryFolder } from '../../../tools/test-support/folders.js';
import { CheckpointStorageError, type CheckpointStore, IndexedDbStore, MemoryStore } from '../src/index.js';
import { FolderStore } from '../src/node/index.js';
import 'fake-indexeddb/auto';

const KINDS: Readonly<Record<string, () => { store: CheckpointStore; reopened(): CheckpointStore }>> = {
  memory: () => {
    const store = new MemoryStore();
    return { store, reopened: () => store };
  },
  folder: () => {
    const path = `${temporaryFolder()}/a/b`;
    return { store: new FolderStore(path), reopened: () => new FolderStore(path) };
  },
  IndexedDB: () => {
    const factory = new IDBFactory();
    return { store: new IndexedDbStore('x', factory), reopened: () => new IndexedDbStore('x', factory) };
  },
};

const MANIFEST = 'checkpoint.json';

async function put(store: CheckpointStore, name: string, files: Readonly<Record<string, Uint8Array>>): Promise<string> {
  const draft = await store.begin();
  for (const [file, bytes] of Object.entries(files)) {
    const sink = await draft.create(file);
    const middle = Math.floor(bytes.length / 3);
    await sink.write(bytes.subarray(0, middle));
    await sink.write(bytes.subarray(middle));
    await sink.close();
  }
  return draft.commit(name);
}

async function get(store: CheckpointStore, name: string, file: string): Promise<Uint8Array | null> {
  const source = await (await store.open(name)).file(file);
  if (source === null) return null;
  const bytes = await source.read(0, source.size);
  await source.close();
  return bytes;
}

/** Longer than any chunk, without a period that chunks could hide in. */
const long = Uint8Array.from({ length: 9 * 2 ** 20 + 5 }, (_, i) => (i * 2654435761) >>> 24);

describe.each(Object.keys(KINDS))('a store of kind %s', kind => {
  test('holds what was committed, also when it is opened anew', async () => {
    const { store, reopened } = KINDS[kind]!();
    expect(await store.list()).toEqual([]);
    await store.prepare();
    expect(await store.list()).toEqual([]);
    expect(await put(store, 'one', { [MANIFEST]: Uint8Array.of(1, 2), long, empty: new Uint8Array(0) })).toBe('one');
    const other = reopened();
    expect(await other.list()).toEqual(['one']);
    expect(await get(other, 'one', MANIFEST)).toEqual(Uint8Array.of(1, 2));
    expect(Buffer.compare((await get(other, 'one', 'long'))!, long)).toBe(0);
    expect(await get(other, 'one', 'empty')).toEqual(new Uint8Array(0));
    expect(await get(other, 'one', 'none')).toBeNull();
  });

  test('reads any part, at the start of a buffer of its own', async () => {
    const { store } = KINDS[kind]!();
    await put(store, 'one', { [MANIFEST]: Uint8Array.of(1), long });
    const source = (await (await store.open('one')).file('long'))!;
    for (const [offset, length] of [
      [0, 1],
      [3, 70_000],
      [2 ** 22 - 1, 2],
      [2 ** 22, 2 ** 22],
      [5, 0],
      [long.length - 1, 1],
    ] as const) {
      const bytes = await source.read(offset, length);
      expect([bytes.byteOffset, bytes.buffer.byteLength]).toEqual([0, length]);
      expect(Buffer.compare(bytes, long.subarray(offset, offset + length))).toBe(0);
    }
    await expect(source.read(long.length - 1, 2)).rejects.toThrow('cut off');
    await source.close();
  });

  test('gives a name that is taken a number', async () => {
    const { store } = KINDS[kind]!();
    const names: string[] = [];
    for (let i = 0; i < 3; i++) names.push(await put(store, 'step-1', { [MANIFEST]: Uint8Array.of(i) }));
    expect(names).toEqual(['step-1', 'step-1-2', 'step-1-3']);
    expect(await get(store, 'step-1', MANIFEST)).toEqual(Uint8Array.of(0));
    expect(await get(store, 'step-1-3', MANIFEST)).toEqual(Uint8Array.of(2));
  });

  test('shows nothing of a draft that is not committed, and keeps nothing of one that is discarded', async () => {
    const { store } = KINDS[kind]!();
    const draft = await store.begin();
    const sink = await draft.create(MANIFEST);
    await sink.write(Uint8Array.of(1));
    await sink.close();
    expect(await store.list()).toEqual([]);
    await draft.discard();
    await draft.discard();
    expect(await store.list()).toEqual([]);
    if (store instanceof FolderStore) expect(readdirSync(store.location)).toEqual([]);
  });

  test('removes whole checkpoints', async () => {
    const { store } = KINDS[kind]!();
    await put(store, 'one', { [MANIFEST]: Uint8Array.of(1) });
    await put(store, 'two', { [MANIFEST]: Uint8Array.of(2) });
    await store.remove('one');
    await store.remove('absent');
    expect(await store.list()).toEqual(['two']);
    await expect(store.open('one')).rejects.toMatchObject({
      code: 'checkpoint-storage',
      fault: 'missing',
      message: expect.stringContaining('found two'),
    });
    if (store instanceof FolderStore) expect(readdirSync(store.location)).toEqual(['two']);
  });
});

describe('a folder', () => {
  const id = 'abcdefabcdef';
  /** As if nothing had been written there for two hours. */
  const age = (...paths: readonly string[]): void => {
    const before = new Date(Date.now() - 2 * 3600 * 1000);
    for (const path of paths) utimesSync(path, before, before);
  };

  test('what a crash left is removed once nothing was written into it for an hour', async () => {
    const folder = temporaryFolder();
    const [old, removed] = [`.draft-4194304-${id}`, `.removed-12345678-${id}`];
    for (const name of [old, removed, '.git', `.draft-1-${id}`]) {
      mkdirSync(`${folder}/${name}`);
      writeFileSync(`${folder}/${name}/model.safetensors`, '');
      age(`${folder}/${name}`);
    }
    age(`${folder}/${old}/model.safetensors`);
    await new FolderStore(folder).prepare();
    // In the last one a large file is still being written.
    expect(readdirSync(folder).sort()).toEqual([`.draft-1-${id}`, '.git'].sort());
  });

  // As worker threads have one process number, and a process of another container cannot be seen.
  test.each([
    ['this process', process.pid],
    // Beyond the largest process number of Linux.
    ['one that cannot be seen', 4194304],
    ['another store', '0123abcd'],
  ])('a fresh draft of %s is not removed under its writer', async (_, owner) => {
    const folder = temporaryFolder();
    mkdirSync(`${folder}/.draft-${owner}-${id}`);
    const store = new FolderStore(folder);
    await store.prepare();
    expect(await put(store, 'x', { [MANIFEST]: Uint8Array.of(1) })).toBe('x');
    expect(readdirSync(folder).sort()).toEqual([`.draft-${owner}-${id}`, 'x']);
  });

  test('a draft that was taken for left behind becomes no checkpoint, also not by half', async () => {
    const folder = temporaryFolder();
    const slow = await new FolderStore(folder).begin();
    const [name] = readdirSync(folder);
    const sink = await slow.create(MANIFEST);
    await sink.write(Uint8Array.of(1));
    await sink.close();
    age(`${folder}/${name}`, `${folder}/${name}/${MANIFEST}`);
    expect(await put(new FolderStore(folder), 'x', { [MANIFEST]: Uint8Array.of(1) })).toBe('x');
    await expect(slow.create('late')).rejects.toMatchObject({ fault: 'missing' });
    await expect(slow.commit('x')).rejects.toMatchObject({ fault: 'missing' });
    await slow.discard();
    expect(readdirSync(folder)).toEqual(['x']);
  });

  test('several stores in one folder save at once, each whole', async () => {
    const folder = temporaryFolder();
    const stores = Array.from({ length: 4 }, () => new FolderStore(folder));
    const bytes = Uint8Array.from({ length: 1000 }, (_, i) => i);
    const names = await Promise.all(
      stores.flatMap(store => [1, 2].map(() => put(store, 'x', { [MANIFEST]: bytes, long: bytes }))),
    );
    expect(new Set(names).size).toBe(8);
    for (const name of names) expect(await get(stores[0]!, name, 'long')).toEqual(bytes);
    // Both remove all of them, as two runs that thin out do.
    await Promise.all(names.flatMap(name => stores.map(store => store.remove(name))));
    expect(readdirSync(folder)).toEqual([]);
  });

  test('what is hidden is neither opened nor removed as a checkpoint', async () => {
    const folder = temporaryFolder();
    mkdirSync(`${folder}/.git`);
    const store = new FolderStore(folder);
    await store.remove('.git');
    await expect(store.open('.git')).rejects.toMatchObject({ fault: 'missing' });
    expect(readdirSync(folder)).toEqual(['.git']);
  });

  test('names that lead elsewhere are refused', async () => {
    const folder = temporaryFolder();
    mkdirSync(`${folder}/inside`);
    writeFileSync(`${folder}/${MANIFEST}`, '{}');
    const store = new FolderStore(`${folder}/inside`);
    for (const name of ['..', '../..', '/', '.', '']) {
      await expect(store.open(name)).rejects.toThrow(CheckpointStorageError);
      await store.remove(name);
    }
    expect(existsSync(`${folder}/inside`)).toBe(true);
    const draft = await store.begin();
    await expect((async () => draft.create('../x'))()).rejects.toThrow(CheckpointStorageError);
    await draft.discard();
  });

  test('a file in the way is a typed error with advice', async () => {
    const folder = temporaryFolder();
    writeFileSync(`${folder}/file`, '');
    for (const path of [`${folder}/file`, `${folder}/file/below`]) {
      const store = new FolderStore(path);
      await expect(store.prepare()).rejects.toMatchObject({ code: 'checkpoint-storage', fault: 'in-the-way' });
      await expect(store.begin()).rejects.toThrow(/a file in the place of a folder.*Move the file away/);
    }
    await expect(new FolderStore(`${folder}/file`).list()).rejects.toThrow('a file in the place of a folder');
  });
});

test('IndexedDB: leftovers of pages that are gone are removed after a day', async () => {
  const factory = new IDBFactory();
  const store = new IndexedDbStore('x', factory);
  const realNow = Date.now;
  Date.now = () => realNow() - 25 * 3600 * 1000;
  const old = await store.begin();
  await (await old.create('a')).close();
  const lost = await old.create('b');
  await lost.write(new Uint8Array(5 * 2 ** 20));
  Date.now = realNow;
  const fresh = await store.begin();
  const sink = await fresh.create(MANIFEST);
  await sink.write(new Uint8Array(5 * 2 ** 20));
  await store.prepare();
  expect(await chunkCount(factory)).toBe(1);
  await sink.close();
  expect(await fresh.commit('x')).toBe('x');
  expect((await get(store, 'x', MANIFEST))!.length).toBe(5 * 2 ** 20);
});

test('IndexedDB: an exhausted quota is a typed error', async () => {
  const store = new IndexedDbStore('x', new IDBFactory());
  const draft = await store.begin();
  const sink = await draft.create('a');
  const add = IDBObjectStore.prototype.add;
  IDBObjectStore.prototype.add = () => {
    throw new DOMException('no room', 'QuotaExceededError');
  };
  try {
    await expect(sink.write(new Uint8Array(2 ** 22))).rejects.toMatchObject({
      fault: 'full',
      message: expect.stringContaining('Keep fewer'),
    });
  } finally {
    IDBObjectStore.prototype.add = add;
  }
});

function chunkCount(factory: IDBFactory): Promise<number> {
  return new Promise(resolve => {
    factory.open('x', 1).onsuccess = ({ target }) => {
      const database = (target as unknown as IDBOpenDBRequest).result;
      const request = database.transaction('chunks').objectStore('chunks').count();
      request.onsuccess = () => resolve(request.result);
    };
  });
}
