import { ChunkedSink } from '../bytes/chunked-sink.js';
import type { ByteSink } from '../bytes/sink.js';
import { type ByteSource, requireInside } from '../bytes/source.js';
import { CheckpointStorageError } from '../errors.js';
import { completion, inDatabase, resultOf } from './requests.js';
import { type CheckpointDraft, type CheckpointStore, numberedName, type StoredCheckpoint } from './store.js';

const CHECKPOINTS = 'checkpoints';
const CHUNKS = 'chunks';
const CHUNK = 2 ** 22;
/** A draft this old belongs to a page that is gone. */
const STALE = 24 * 3600 * 1000;

/** A committed checkpoint: where its chunks are, and the length of each file. */
interface Entry {
  readonly draft: string;
  readonly files: Readonly<Record<string, number>>;
}

/**
 * Checkpoints in the browser, in a database of IndexedDB. Files are stored in chunks of 4 MiB under the number of a
 * draft; one entry, written in one transaction, makes the draft a checkpoint.
 */
export class IndexedDbStore implements CheckpointStore {
  readonly location: string;
  readonly #name: string;
  readonly #factory: IDBFactory;
  #database: Promise<IDBDatabase> | null = null;

  /** @param factory Default: the page's own. */
  constructor(name = 'frugaljs-checkpoints', factory: IDBFactory = indexedDB) {
    this.location = `IndexedDB ${name}`;
    this.#factory = factory;
    this.#name = name;
  }

  async prepare(): Promise<void> {
    await this.#run('readwrite', async (checkpoints, chunks) => {
      const used = new Set((await resultOf<Entry[]>(checkpoints.getAll())).map(({ draft }) => draft));
      for (const key of (await resultOf(chunks.getAllKeys())) as [string, string, number][]) {
        const [draft] = key;
        if (!used.has(draft) && Date.now() - Number.parseInt(draft, 36) > STALE) chunks.delete(key);
      }
    });
  }

  async list(): Promise<readonly string[]> {
    return this.#run('readonly', async checkpoints => (await resultOf(checkpoints.getAllKeys())) as string[]);
  }

  async begin(): Promise<CheckpointDraft> {
    // Starts with the time in base 36, which is what prepare() goes by.
    const draft = `${Date.now().toString(36)}-${crypto.randomUUID()}`;
    const files: Record<string, number> = {};
    return {
      create: async file =>
        this.#sink(draft, file, size => {
          files[file] = size;
        }),
      commit: async wished =>
        this.#run('readwrite', async checkpoints => {
          for (let attempt = 1; ; attempt++) {
            const name = numberedName(wished, attempt);
            if ((await resultOf(checkpoints.getKey(name))) !== undefined) continue;
            checkpoints.add({ draft, files } satisfies Entry, name);
            return name;
          }
        }),
      discard: async () => {
        await this.#run('readwrite', async (_, chunks) => chunks.delete(chunksOf(draft))).catch(() => {});
      },
    };
  }

  async open(name: string): Promise<StoredCheckpoint> {
    const entry = await this.#run('readonly', async checkpoints => resultOf<Entry | undefined>(checkpoints.get(name)));
    if (entry === undefined) {
      throw new CheckpointStorageError('missing', {
        parameter: `checkpoint ${name}`,
        found: (await this.list()).join(', ') || 'no checkpoints',
        expected: `one of that name in ${this.location}`,
      });
    }
    return {
      name,
      file: async file =>
        Object.hasOwn(entry.files, file) ? this.#source(entry.draft, file, entry.files[file]!, name) : null,
    };
  }

  async remove(name: string): Promise<void> {
    await this.#run('readwrite', async (checkpoints, chunks) => {
      const entry = await resultOf<Entry | undefined>(checkpoints.get(name));
      if (entry === undefined) return;
      checkpoints.delete(name);
      chunks.delete(chunksOf(entry.draft));
    });
  }

  #sink(draft: string, file: string, ended: (size: number) => void): ByteSink {
    let index = 0;
    let size = 0;
    const put = async (chunk: Uint8Array): Promise<void> => {
      size += chunk.byteLength;
      const bytes = chunk.slice().buffer;
      await this.#run('readwrite', async (_, chunks) => chunks.add(bytes, [draft, file, index++]));
    };
    return new ChunkedSink(put, async () => ended(size), CHUNK, true);
  }

  #source(draft: string, file: string, size: number, name: string): ByteSource {
    const label = `${name}/${file}`;
    return {
      label,
      size,
      read: async (offset, length) => {
        requireInside(label, offset, length, size);
        const bytes = new Uint8Array(length);
        for (let at = offset; at < offset + length; ) {
          const index = Math.floor(at / CHUNK);
          const chunk = await this.#run('readonly', async (_, chunks) =>
            resultOf<ArrayBuffer | undefined>(chunks.get([draft, file, index])),
          );
          const begin = at - index * CHUNK;
          const wanted = Math.min(offset + length - at, CHUNK - begin);
          // Removed by another page, or by the browser to make room.
          requireInside(label, begin, wanted, chunk?.byteLength ?? 0);
          bytes.set(new Uint8Array(chunk!, begin, wanted), at - offset);
          at += wanted;
        }
        return bytes;
      },
      close: async () => {},
    };
  }

  /** Runs operations in one transaction and waits until it is durable. */
  async #run<T>(
    mode: 'readonly' | 'readwrite',
    operate: (checkpoints: IDBObjectStore, chunks: IDBObjectStore) => Promise<T>,
  ): Promise<T> {
    return inDatabase(this.location, async () => {
      const database = await this.#open();
      const transaction = database.transaction([CHECKPOINTS, CHUNKS], mode, { durability: 'strict' });
      const completed = completion(transaction);
      const [result] = await Promise.all([
        operate(transaction.objectStore(CHECKPOINTS), transaction.objectStore(CHUNKS)),
        completed,
      ]);
      return result;
    });
  }

  #open(): Promise<IDBDatabase> {
    this.#database ??= new Promise<IDBDatabase>((resolve, reject) => {
      const request = this.#factory.open(this.#name, 1);
      request.onupgradeneeded = () => {
        request.result.createObjectStore(CHECKPOINTS);
        request.result.createObjectStore(CHUNKS);
      };
      request.onsuccess = () => resolve(request.result);
      request.onerror = () => reject(request.error);
    }).catch(error => {
      this.#database = null;
      throw error;
    });
    return this.#database;
  }
}

/** All chunks of a draft: arrays sort after every text and number. */
function chunksOf(draft: string): IDBKeyRange {
  return IDBKeyRange.bound([draft], [draft, []]);
}
