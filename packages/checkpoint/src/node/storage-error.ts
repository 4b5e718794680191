import { CheckpointStorageError, type StorageFault } from '../errors.js';

const FAULTS: Readonly<Record<string, readonly [fault: StorageFault, found: string, advice: string]>> = {
  ENOSPC: ['full', 'a full disk', 'Free some space, keep fewer checkpoints, or save elsewhere.'],
  EDQUOT: ['full', 'an exhausted quota', 'Free some space, keep fewer checkpoints, or save elsewhere.'],
  EFBIG: ['full', 'a file too large for the file system', 'Save on another file system.'],
  EACCES: ['not-writable', 'no permission', 'Change the permissions of the folder, or take another one.'],
  EPERM: ['not-writable', 'no permission', 'Change the permissions of the folder, or take another one.'],
  EROFS: ['not-writable', 'a read-only file system', 'Save elsewhere.'],
  ENOTDIR: ['in-the-way', 'a file in the place of a folder', 'Move the file away, or take another folder.'],
  EEXIST: ['in-the-way', 'a file in the place of a folder', 'Move the file away, or take another folder.'],
  ENAMETOOLONG: ['in-the-way', 'a path that is too long', 'Take a shorter path.'],
  ENOENT: ['missing', 'nothing there', 'The folder was removed, or the path is misspelled.'],
  EMFILE: ['device', 'too many open files', 'Close some, or raise the limit of the process (ulimit -n).'],
  EIO: ['device', 'an input/output error', 'The disk may be failing: save elsewhere.'],
};

/** A failure of the file system as a typed error with advice; anything else as it is. */
export function storageError(error: unknown, path: string, wanted: string): unknown {
  const code = (error as NodeJS.ErrnoException | null)?.code;
  if (code === undefined || typeof (error as NodeJS.ErrnoException).syscall !== 'string') return error;
  const [fault, found, advice] = FAULTS[code] ?? ['device', code, ''];
  const complaint = { parameter: path, found: `${found} (${code})`, expected: wanted };
  return new CheckpointStorageError(fault, advice === '' ? complaint : { ...complaint, advice }, error);
}

/** Runs file operations; their failures become typed errors. */
export async function storing<T>(path: string, wanted: string, operate: () => Promise<T>): Promise<T> {
  try {
    return await operate();
  } catch (error) {
    throw storageError(error, path, wanted);
  }
}
