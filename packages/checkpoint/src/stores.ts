import { type Complaint, FrugalError } from '@frugaljs/core';
import {
  type ByteSink,
  type ByteSource,
  bytesSource,
  ChunkedSink,
  type Crc32,
  MemorySink,
  requireInside,
} from './bytes.js';

/**
 * A place that holds checkpoints, each a handful of named files. A checkpoint appears in it whole or not at all: its
 * files are written into a draft, and committing the draft is one atomic step.
 */
export interface CheckpointStore {
  /** Where it is, for messages. */
  readonly location: string;
  /** A faster CRC-32 than the one in TypeScript, if the platform has one. */
  readonly crc32?: Crc32;
  /**
   * Makes sure that the store can be written and removes what a crash left behind.
   *
   * @throws CheckpointStorageError if it cannot be written.
   */
  prepare(): Promise<void>;
  /** Names of the committed checkpoints, in any order. An absent store has none. */
  list(): Promise<readonly string[]>;
  begin(): Promise<CheckpointDraft>;
  /** @throws CheckpointStorageError if there is no such checkpoint. */
  open(name: string): Promise<StoredCheckpoint>;
  /** Removes a checkpoint whole; an absent one is no error. */
  remove(name: string): Promise<void>;
}

/** A checkpoint being written. */
export interface CheckpointDraft {
  create(file: string): Promise<ByteSink>;
  /** Opens a file that was written, to read it back; null if there is none of that name. */
  file(name: string): Promise<ByteSource | null>;
  /**
   * Makes the draft a checkpoint, durably.
   *
   * @param name The wished name; if it is taken, a number is added.
   * @returns The name it got.
   */
  commit(name: string): Promise<string>;
  /** Removes the draft; never throws. */
  discard(): Promise<void>;
}

/** A committed checkpoint. */
export interface StoredCheckpoint {
  readonly name: string;
  /** Opens a file; null if the checkpoint has none of that name. */
  file(name: string): Promise<ByteSource | null>;
}

/** Why a store could not be written or read. */
export type StorageFault = 'full' | 'not-writable' | 'in-the-way' | 'missing' | 'device';

/** The store failed: disk full, folder not writable, device gone. Checkpoints saved before are untouched. */
export class CheckpointStorageError extends FrugalError {
  readonly fault: StorageFault;

  constructor(fault: StorageFault, complaint: Complaint, cause?: unknown) {
    super('checkpoint-storage', complaint);
    this.name = 'CheckpointStorageError';
    this.fault = fault;
    this.cause = cause;
  }
}

/** What a store throws that has these checkpoints and not the one asked for. */
export function noSuchCheckpoint(name: string, known: readonly string[], location: string): CheckpointStorageError {
  return new CheckpointStorageError('missing', {
    parameter: `checkpoint ${name}`,
    found: known.join(', ') || 'no checkpoints',
    expected: `one of that name in ${location}`,
  });
}

/** `name`, `name-2`, `name-3` … */
export function numberedName(name: string, attempt: number): string {
  return attempt === 1 ? name : `${name}-${attempt}`;
}

/** Checkpoints in this process's memory: for rolling back within a run, and for tests. They end with the process. */
export class MemoryStore implements CheckpointStore {
  readonly location = 'memory';
  readonly #checkpoints = new Map<string, ReadonlyMap<string, Uint8Array>>();

  async prepare(): Promise<void> {}

  async list(): Promise<readonly string[]> {
    return [...this.#checkpoints.keys()];
  }

  async begin(): Promise<CheckpointDraft> {
    const sinks = new Map<string, MemorySink>();
    return {
      create: async file => {
        const sink = new MemorySink();
        sinks.set(file, sink);
        return sink;
      },
      file: async file => {
        const sink = sinks.get(file);
        return sink === undefined ? null : bytesSource(sink.bytes(), `draft/${file}`);
      },
      commit: async name => {
        let attempt = 1;
        while (this.#checkpoints.has(numberedName(name, attempt))) attempt++;
        const free = numberedName(name, attempt);
        this.#checkpoints.set(free, new Map([...sinks].map(([file, sink]) => [file, sink.bytes()])));
        return free;
      },
      discard: async () => sinks.clear(),
    };
  }

  async open(name: string): Promise<StoredCheckpoint> {
    const files = this.#checkpoints.get(name);
    if (files === undefined) {
      throw noSuchCheckpoint(name, await this.list(), this.location);
    }
    return {
      name,
      file: async file => {
        const bytes = files.get(file);
        return bytes === undefined ? null : bytesSource(bytes, `${name}/${file}`);
      },
    };
  }

  async remove(name: string): Promise<void> {
    this.#checkpoints.delete(name);
  }
}

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
      file: async file => (Object.hasOwn(files, file) ? this.#source(draft, file, files[file]!, 'draft') : null),
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
      throw noSuchCheckpoint(name, await this.list(), this.location);
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

/** Waits for a request of IndexedDB. */
function resultOf<T>(request: IDBRequest<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}

/** Waits until a transaction is through; rejects when it is undone. */
function completion(transaction: IDBTransaction): Promise<void> {
  return new Promise((resolve, reject) => {
    transaction.oncomplete = () => resolve();
    transaction.onabort = () => reject(transaction.error);
  });
}

/** Runs operations of a database; their failures become typed errors. */
async function inDatabase<T>(location: string, operate: () => Promise<T>): Promise<T> {
  try {
    return await operate();
  } catch (error) {
    if (!(error instanceof DOMException)) throw error;
    const isFull = error.name === 'QuotaExceededError';
    throw new CheckpointStorageError(
      isFull ? 'full' : 'device',
      {
        parameter: location,
        found: isFull ? 'an exhausted quota' : `${error.name}: ${error.message}`,
        expected: 'room for a checkpoint',
        advice: isFull
          ? 'Keep fewer checkpoints, or download and remove some.'
          : 'Reload the page; private windows may store nothing.',
      },
      error,
    );
  }
}
