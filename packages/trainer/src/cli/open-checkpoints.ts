import { existsSync } from 'node:fs';
import { join, relative, resolve } from 'node:path';
import { type CheckpointStore, Checkpoints, InvalidCheckpointError, type SavedCheckpoint } from '@frugaljs/checkpoint';
import { FolderStore, locateCheckpoints } from '@frugaljs/checkpoint/node';
import { InvalidOptionError } from '@frugaljs/core';
import type { TrainingRequest } from './training-request.js';

/** Where a run saves, and what it goes on from. */
export interface RunCheckpoints {
  /** The folder, as the user would write it; null if checkpoints are not saved on the way. */
  readonly folder: string | null;
  readonly saved: SavedCheckpoint | null;
}

/**
 * Finds the checkpoint behind `--resume` and the folder behind `--save`.
 *
 * @param onWarning Receives a line about each checkpoint that is passed over.
 * @throws InvalidOptionError if there is nothing to go on from, or if a new run would mix with the checkpoints of
 *   another; InvalidCheckpointError if everything there was altered.
 */
export async function openCheckpoints(
  { save, resume }: Pick<TrainingRequest, 'save' | 'resume'>,
  onWarning: (line: string) => void,
): Promise<RunCheckpoints> {
  const folder = typeof save === 'string' ? save : null;
  if (resume === undefined) {
    if (folder !== null) await requireEmpty(new FolderStore(folder), folder);
    return { folder, saved: null };
  }
  if (resume === 'auto') {
    if (folder === null) {
      throw new InvalidOptionError({
        parameter: 'resume',
        found: 'auto without --save',
        expected: 'a folder to look in',
        advice: 'Give --save FOLDER, or --resume FOLDER.',
      });
    }
    return { folder, saved: await latestIn(new FolderStore(folder), onWarning) };
  }
  const { store, name } = locateCheckpoints(resume);
  const own = folder ?? (name === null ? resume : join(resume, '..'));
  // Into another folder only if that is empty: it would otherwise hold two runs.
  if (resolve(own) !== store.location) await requireEmpty(new FolderStore(own), own);
  const saved =
    name === null ? await latestIn(store, onWarning) : await new Checkpoints({ store, onWarning }).open(name);
  if (saved === null) {
    throw new InvalidOptionError({
      parameter: 'resume',
      found: `no checkpoint in ${resume}`,
      expected: 'at least one',
      ...(existsSync(join(resume, 'config.json')) && {
        advice: 'To start from the weights of a model, use --weights.',
      }),
    });
  }
  return { folder: save === false ? null : own, saved };
}

/** A folder that is not there yet, for a run that is interrupted and has none. */
export function freshFolder(): string {
  for (let i = 1; ; i++) {
    const name = i === 1 ? 'frugal-run' : `frugal-run-${i}`;
    if (!existsSync(name)) return name;
  }
}

/** A path as short as it can be written from here. */
export function shownPath(path: string): string {
  const short = relative('.', path);
  return short === '' || short.startsWith('..') ? path : short;
}

async function latestIn(store: CheckpointStore, onWarning: (line: string) => void): Promise<SavedCheckpoint | null> {
  const latest = await new Checkpoints({ store, onWarning }).latest();
  const found = latest === null ? await store.list() : [];
  if (found.length === 0) return latest;
  throw new InvalidCheckpointError({
    parameter: store.location,
    found: `${found.length} checkpoint${found.length === 1 ? '' : 's'}, none of which can be read`,
    expected: 'an intact one',
    advice: 'To start anew, save into another folder.',
  });
}

async function requireEmpty(store: CheckpointStore, folder: string): Promise<void> {
  const found = await store.list();
  if (found.length === 0) return;
  throw new InvalidOptionError({
    parameter: 'save',
    found: `${folder} with ${found.length} checkpoint${found.length === 1 ? '' : 's'} of another run`,
    expected: 'a folder without checkpoints',
    advice: 'Go on with that run (--resume auto), or save into another folder.',
  });
}
