import { MemorySink } from '../bytes/sink.js';
import { bytesSource } from '../bytes/source.js';
import { CheckpointStorageError } from '../errors.js';
import { type CheckpointDraft, type CheckpointStore, numberedName, type StoredCheckpoint } from './store.js';

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
      throw new CheckpointStorageError('missing', {
        parameter: `checkpoint ${name}`,
        found: [...this.#checkpoints.keys()].join(', ') || 'no checkpoints',
        expected: `one of that name in ${this.location}`,
      });
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
