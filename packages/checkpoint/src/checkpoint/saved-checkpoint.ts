import type { Json } from '@frugaljs/core';
import { type Crc32, crc32 } from '../bytes/crc32.js';
import type { ByteSource } from '../bytes/source.js';
import { InvalidCheckpointError } from '../errors.js';
import { parseBoundedJson } from '../json/bounded-json.js';
import { fromExactJson } from '../json/exact-json.js';
import { SafetensorsReader } from '../safetensors/reader.js';
import type { CheckpointStore, StoredCheckpoint } from '../store/store.js';
import { FILES } from './files.js';
import { crcText, type FileSeal, type Manifest, readManifest } from './manifest.js';
import { type RestoreReport, type RestoreTarget, restoreInto } from './restore.js';

const LARGEST_JSON = 64 * 2 ** 20;
const VERIFIED_CHUNK = 2 ** 22;

/** A checkpoint in a store, opened for reading. Holds no open file between calls. */
export class SavedCheckpoint {
  #verified = false;

  private constructor(
    private readonly stored: StoredCheckpoint,
    private readonly crc32: Crc32,
    /** What the checkpoint says about itself. */
    readonly manifest: Manifest,
  ) {}

  /**
   * Opens a checkpoint; reads its manifest only.
   *
   * @throws InvalidCheckpointError if it is incomplete, CheckpointVersionError if it is of another version.
   */
  static async open(store: CheckpointStore, name: string): Promise<SavedCheckpoint> {
    return SavedCheckpoint.from(await store.open(name), store.crc32);
  }

  /** As {@link open}, of a checkpoint that is in no store. */
  static async from(stored: StoredCheckpoint, checksum: Crc32 = crc32): Promise<SavedCheckpoint> {
    const { name } = stored;
    const source = await stored.file(FILES.manifest);
    if (source === null) {
      throw new InvalidCheckpointError({
        parameter: name,
        found: `no ${FILES.manifest}`,
        expected: 'a complete checkpoint',
        advice: 'It is no checkpoint, or files were taken out of it.',
      });
    }
    try {
      return new SavedCheckpoint(stored, checksum, await readManifest(source));
    } finally {
      await source.close();
    }
  }

  get name(): string {
    return this.stored.name;
  }

  /** Updates made when it was saved. */
  get step(): number {
    return this.manifest.step;
  }

  get metric(): number | null {
    return this.manifest.metric;
  }

  /**
   * Reads all files once and compares their lengths and CRC-32 with the manifest.
   *
   * @throws InvalidCheckpointError naming the file.
   */
  async verify(): Promise<void> {
    for (const [name, seal] of Object.entries(this.manifest.files)) {
      await this.#with(name, source => this.#verifyFile(source, seal));
    }
    this.#verified = true;
  }

  /** What the trainer saved; null if it saved nothing. */
  async trainer(): Promise<Json> {
    const json = await this.json(FILES.trainer);
    return json === null ? null : fromExactJson(json);
  }

  /** The model's configuration; null if there is none. */
  async config(): Promise<Json> {
    return this.json(FILES.config);
  }

  /** A file of JSON; null if there is none of that name. */
  async json(name: string): Promise<Json> {
    const bytes = await this.file(name);
    return bytes === null ? null : parseBoundedJson(bytes, `${this.name}/${name}`);
  }

  /**
   * A whole file, checked; for small ones.
   *
   * @returns Null if there is none of that name.
   * @throws InvalidCheckpointError if it was altered or has more than 64 MiB.
   */
  async file(name: string): Promise<Uint8Array | null> {
    const seal = this.#seal(name);
    if (seal === null) return null;
    return this.#with(name, async source => {
      if (source.size > LARGEST_JSON) throw complaint(source.label, `${source.size} bytes`, `at most ${LARGEST_JSON}`);
      await this.#verifyFile(source, seal);
      return source.read(0, source.size);
    });
  }

  /** Opens the model's weights; close the reader afterwards. */
  async openModel(): Promise<SafetensorsReader> {
    return SafetensorsReader.open(await this.source(FILES.model));
  }

  /** Opens the optimizer's state; null if none was saved. Close the reader afterwards. */
  async openOptimizer(): Promise<SafetensorsReader | null> {
    if (this.#seal(FILES.optimizer) === null) return null;
    return SafetensorsReader.open(await this.source(FILES.optimizer));
  }

  /**
   * Puts model and optimizer back to where they were, bit for bit. Everything is verified and compared before anything
   * changes.
   *
   * @throws CheckpointMismatchError showing the differences, unless `partial` is set.
   * @throws InvalidCheckpointError if a file was cut off or altered.
   */
  async restore(target: RestoreTarget): Promise<RestoreReport> {
    if (!this.#verified) await this.verify();
    return restoreInto(this, target);
  }

  /** Opens a file as it lies in the store, the manifest included; close it afterwards. */
  async source(name: string): Promise<ByteSource> {
    const source = await this.stored.file(name);
    if (source === null) throw complaint(this.name, `no ${name}`, 'every file of its manifest');
    return source;
  }

  #seal(name: string): FileSeal | null {
    return Object.hasOwn(this.manifest.files, name) ? this.manifest.files[name]! : null;
  }

  async #with<T>(name: string, read: (source: ByteSource) => Promise<T>): Promise<T> {
    const source = await this.source(name);
    try {
      return await read(source);
    } finally {
      await source.close();
    }
  }

  async #verifyFile(source: ByteSource, { bytes, crc32: expected }: FileSeal): Promise<void> {
    if (source.size !== bytes) throw complaint(source.label, `${source.size} bytes`, `${bytes}`);
    let crc = 0;
    for (let at = 0; at < bytes; at += VERIFIED_CHUNK) {
      crc = this.crc32(await source.read(at, Math.min(VERIFIED_CHUNK, bytes - at)), crc);
    }
    if (crcText(crc) === expected) return;
    throw complaint(`${source.label}: crc32`, crcText(crc), expected);
  }
}

function complaint(parameter: string, found: string, expected: string): InvalidCheckpointError {
  return new InvalidCheckpointError({
    parameter,
    found,
    expected,
    advice: 'The checkpoint was altered after it was saved; take another one.',
  });
}
