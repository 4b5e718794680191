import { type ByteSink, type ByteSource, ChunkedSink, requireInside } from './bytes.js';
import {
  type CheckpointDraft,
  CheckpointStorageError,
  type CheckpointStore,
  heldBy,
  type Lease,
  type LeaseHolder,
  noSuchCheckpoint,
  numberedName,
  removedMeanwhile,
  SharedLease,
  type StoredCheckpoint,
  takenOver,
} from './stores.js';

const CHECKPOINTS = 'checkpoints';
const CHUNKS = 'chunks';
const CHUNK = 2 ** 22;
/** What a draft is called in messages. */
const DRAFT = 'draft';
/** A draft this old belongs to a page that is gone. */
const STALE = 24 * 3600 * 1000;

/** Among the chunks, so that a database of an earlier version has room for it. */
const LEASE = ['lease'];
/** Milliseconds between two renewals of a lease. In the background the browser lets a timer run once a minute. */
const RENEWAL = 20_000;
const PATIENCE = 3 * 60_000;

/** The lease where the browser has no Web Locks. All pages of a database have one clock. */
interface LeaseRecord {
  readonly id: string;
  readonly since: number;
  readonly renewed: number;
}

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
  readonly #lease = new SharedLease<PageLease>();

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
        if (key.length === LEASE.length) continue;
        if (!used.has(draft) && Date.now() - Number.parseInt(draft, 36) > STALE) chunks.delete(key);
      }
    });
  }

  /** Takes the lease, which ends with the page if it is not released before. */
  async acquire(): Promise<Lease> {
    const isOfThePage = this.#factory === globalThis.indexedDB;
    const locks = isOfThePage ? (globalThis.navigator as { locks?: LockManager } | undefined)?.locks : undefined;
    return this.#lease.acquire(() => (locks === undefined ? this.#takeRecord() : takeLock(locks, this.location)));
  }

  async list(): Promise<readonly string[]> {
    return this.#run('readonly', async checkpoints => (await resultOf(checkpoints.getAllKeys())) as string[]);
  }

  async begin(): Promise<CheckpointDraft> {
    // Starts with the time in base 36, which is what prepare() goes by.
    const draft = `${Date.now().toString(36)}-${crypto.randomUUID()}`;
    const files: Record<string, number> = {};
    const lease = this.#lease.held;
    return {
      create: async file =>
        this.#sink(draft, file, size => {
          files[file] = size;
        }),
      file: async file => (Object.hasOwn(files, file) ? this.#source(draft, file, files[file]!, DRAFT) : null),
      commit: async wished =>
        this.#run('readwrite', async (checkpoints, chunks) => {
          await requireHeld(lease, chunks, this.location);
          for (let attempt = 1; ; attempt++) {
            const name = numberedName(wished, attempt);
            if ((await resultOf(checkpoints.getKey(name))) !== undefined) continue;
            checkpoints.add({ draft, files } satisfies Entry, name);
            return name;
          }
        }),
      discard: async () => {
        await this.#run('readwrite', async (checkpoints, chunks) => {
          // A commit may have happened whose answer was lost.
          const entries = await resultOf<Entry[]>(checkpoints.getAll());
          if (!entries.some(entry => entry.draft === draft)) chunks.delete(chunksOf(draft));
        }).catch(() => {});
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
    const lease = this.#lease.held;
    await this.#run('readwrite', async (checkpoints, chunks) => {
      await requireHeld(lease, chunks, this.location);
      const entry = await resultOf<Entry | undefined>(checkpoints.get(name));
      if (entry === undefined) return;
      checkpoints.delete(name);
      chunks.delete(chunksOf(entry.draft));
    });
  }

  /** Takes the lease by a record, unless another page has renewed its own in time. */
  async #takeRecord(): Promise<PageLease> {
    const id = crypto.randomUUID();
    const since = Date.now();
    await this.#run('readwrite', async (_, chunks) => {
      const other = await resultOf<LeaseRecord | undefined>(chunks.get(LEASE));
      const isFresh = other !== undefined && Math.abs(since - other.renewed) < PATIENCE;
      if (isFresh) throw heldBy(holderOf(other), this.location, ADVICE);
      chunks.put({ id, since, renewed: since } satisfies LeaseRecord, LEASE);
    });
    /** Does something to the record, if it is still there. */
    const change = (act: (chunks: IDBObjectStore) => void): Promise<void> =>
      this.#run('readwrite', async (_, chunks) => {
        const record = await resultOf<LeaseRecord | undefined>(chunks.get(LEASE));
        if (record?.id === id) act(chunks);
      }).catch(() => {});
    const renew = () => change(chunks => chunks.put({ id, since, renewed: Date.now() } satisfies LeaseRecord, LEASE));
    const renewing: unknown = setInterval(renew, RENEWAL);
    // In Node a timer keeps the process.
    (renewing as { unref?(): void }).unref?.();
    return {
      isHeld: async chunks => (await resultOf<LeaseRecord | undefined>(chunks.get(LEASE)))?.id === id,
      release: async () => {
        clearInterval(renewing as number);
        await change(chunks => chunks.delete(LEASE));
      },
    };
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
          const chunk = await this.#run('readonly', async (checkpoints, chunks) => {
            const found = await resultOf<ArrayBuffer | undefined>(chunks.get([draft, file, index]));
            const isGone =
              found === undefined && name !== DRAFT && (await resultOf(checkpoints.getKey(name))) === undefined;
            if (isGone) throw removedMeanwhile(name, this.location);
            return found;
          });
          const begin = at - index * CHUNK;
          const wanted = Math.min(offset + length - at, CHUNK - begin);
          // Removed by the browser to make room.
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

/** A lease as a page holds it. */
interface PageLease extends Lease {
  /** Asked in the transaction that changes something, so that nobody can take it in between. */
  isHeld(chunks: IDBObjectStore): Promise<boolean>;
}

const ADVICE = 'Go on in the page that saves there, or close it, or take a database of another name.';

/** Takes a lock that the browser frees with its page, whatever ends that. */
function takeLock(locks: LockManager, location: string): Promise<PageLease> {
  return new Promise((resolve, reject) => {
    let isHeld = true;
    const hold = (lock: Lock | null): Promise<void> | undefined => {
      if (lock === null) return undefined;
      return new Promise<void>(end => {
        resolve({
          isHeld: async () => isHeld,
          release: async () => {
            end();
            await ended;
          },
        });
      });
    };
    const ended: Promise<void> = locks.request(`frugaljs ${location}`, { ifAvailable: true }, hold).then(
      () => {
        reject(heldBy(null, location, ADVICE));
      },
      error => {
        // Stolen, or refused.
        isHeld = false;
        reject(error);
      },
    );
  });
}

async function requireHeld(lease: PageLease | null, chunks: IDBObjectStore, location: string): Promise<void> {
  if (lease === null || (await lease.isHeld(chunks))) return;
  const other = await resultOf<LeaseRecord | undefined>(chunks.get(LEASE));
  throw takenOver(other === undefined ? null : holderOf(other), location);
}

function holderOf({ since, renewed }: LeaseRecord): LeaseHolder {
  return { name: 'another page', since: new Date(since).toISOString(), renewed: new Date(renewed).toISOString() };
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
