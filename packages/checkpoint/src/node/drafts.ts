import { randomBytes } from 'node:crypto';
import { readdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';

const PATTERN = /^\.(?:draft|removed)-(\d+)-[0-9a-f]{12}$/;
/** After this long nothing is still being written, whatever process now has the number. */
const STALE = 24 * 3600 * 1000;
/** Drafts of this process, by name: another process may have had the same number. */
const own = new Set<string>();

/** A name for a folder that is not, or no longer, a checkpoint. */
export function temporaryName(purpose: 'draft' | 'removed'): string {
  const name = `.${purpose}-${process.pid}-${randomBytes(6).toString('hex')}`;
  own.add(name);
  return name;
}

/** Says that a temporary folder is gone. */
export function forget(name: string): void {
  own.delete(name);
}

/** Removes what crashed processes left behind, and nothing that a live one is writing. */
export async function removeLeftovers(folder: string): Promise<void> {
  for (const name of await readdir(folder)) {
    const pid = PATTERN.exec(name)?.[1];
    if (pid === undefined || own.has(name)) continue;
    const path = join(folder, name);
    if (isAlive(Number(pid)) && !(await isStale(path))) continue;
    await rm(path, { recursive: true, force: true });
  }
}

function isAlive(pid: number): boolean {
  // A draft with our number that is not ours is from before: in a container every run may have the same one.
  if (pid === process.pid) return false;
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

async function isStale(path: string): Promise<boolean> {
  try {
    return Date.now() - (await stat(path)).mtimeMs > STALE;
  } catch {
    return false;
  }
}
