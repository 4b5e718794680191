import { mkdirSync } from 'node:fs';
import { basename } from 'node:path';
import type { CheckpointDraft, CheckpointStore, Crc32, Lease, StoredCheckpoint } from '@frugaljs/checkpoint';
import { FolderStore } from '@frugaljs/checkpoint/node';

const NAME = 'frugal-run';

/**
 * Checkpoints of a run that was not told where to save: a folder of its own, `frugal-run`, `frugal-run-2` …, which is
 * chosen and made when the first one is saved. Chosen before, it would be that of every run that was started in the
 * same place, and when a closed terminal ends them all, one would be saved and the others refused.
 */
export class FreshFolderStore implements CheckpointStore {
  #chosen: FolderStore | null = null;

  /** As the user would write it; null until something is saved. */
  get folder(): string | null {
    return this.#chosen === null ? null : basename(this.#chosen.location);
  }

  get location(): string {
    return this.#chosen?.location ?? NAME;
  }

  get crc32(): Crc32 {
    return this.#store.crc32;
  }

  async prepare(): Promise<void> {
    await this.#store.prepare();
  }

  async acquire(onWait: (line: string) => void): Promise<Lease> {
    return this.#store.acquire(onWait);
  }

  async list(): Promise<readonly string[]> {
    return this.#chosen === null ? [] : this.#chosen.list();
  }

  async begin(): Promise<CheckpointDraft> {
    return this.#store.begin();
  }

  async open(name: string): Promise<StoredCheckpoint> {
    return this.#store.open(name);
  }

  async remove(name: string): Promise<void> {
    await this.#store.remove(name);
  }

  get #store(): FolderStore {
    this.#chosen ??= new FolderStore(freshFolder());
    return this.#chosen;
  }
}

/** Makes a folder that was not there: of several runs that do so at once, each gets one of its own. */
function freshFolder(): string {
  for (let i = 1; ; i++) {
    const name = i === 1 ? NAME : `${NAME}-${i}`;
    try {
      mkdirSync(name);
      return name;
    } catch (error) {
      // What else is wrong there, the store says when it saves.
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') return name;
    }
  }
}
