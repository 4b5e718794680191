import type { Crc32 } from '../bytes/crc32.js';
import type { ByteSink } from '../bytes/sink.js';
import type { ByteSource } from '../bytes/source.js';

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

/** `name`, `name-2`, `name-3` … */
export function numberedName(name: string, attempt: number): string {
  return attempt === 1 ? name : `${name}-${attempt}`;
}
