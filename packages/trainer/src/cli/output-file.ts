import { randomBytes } from 'node:crypto';
import {
  chmodSync,
  closeSync,
  constants,
  existsSync,
  fstatSync,
  ftruncateSync,
  openSync,
  realpathSync,
  renameSync,
  rmSync,
  statfsSync,
  statSync,
  unlinkSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { access } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { makeFolder } from '@frugaljs/checkpoint/node';
import { InvalidOptionError } from '@frugaljs/core';

/**
 * Makes sure that a file can be written, before the work that will fill it: what it holds stays, and one that is not
 * there yet is not left behind. Creates the folder.
 *
 * @throws InvalidOptionError naming the option.
 */
export async function requireWritable(option: string, path: string): Promise<string> {
  const file = resolve(path);
  await writing(option, path, async () => {
    if (path.trim() === '') throw new Error('an empty name');
    await makeFolder(dirname(file));
    if (!existsSync(file)) {
      closeSync(openSync(file, 'wx'));
      unlinkSync(file);
    } else if (statSync(file).isDirectory()) {
      throw new Error('it is a folder');
    } else if (statSync(file).isFile()) {
      closeSync(openSync(file, constants.O_WRONLY));
    } else {
      // Whoever reads a pipe would take it for its end if it was opened and closed.
      await access(file, constants.W_OK);
    }
  });
  return file;
}

/**
 * As {@link requireWritable}, for several options; null for those that are not given.
 *
 * @throws InvalidOptionError also if two of them are the same file.
 */
export async function requireAllWritable<Option extends string>(
  paths: Readonly<Record<Option, string | undefined>>,
): Promise<Record<Option, string | null>> {
  const files = new Map<Option, string | null>();
  for (const [option, path] of Object.entries(paths) as [Option, string | undefined][]) {
    const file = path === undefined ? null : await requireWritable(option, path);
    const other = [...files].find(([, known]) => file !== null && known === file);
    if (other !== undefined) {
      throw new InvalidOptionError({ parameter: option, found: path, expected: `another file than --${other[0]}` });
    }
    files.set(option, file);
  }
  return Object.fromEntries(files) as Record<Option, string | null>;
}

/**
 * Writes a text to the file of an option, which may have become impossible since it was looked at. The file is replaced at
 * once by a whole one or stays as it was.
 *
 * @throws InvalidOptionError naming the option.
 */
export async function writeOutput(option: string, file: string, text: string): Promise<void> {
  await writing(option, file, async () => replaceFile(file, text));
}

/**
 * As {@link writeOutput}, where other outputs follow: a file that cannot be written is told of in a line.
 *
 * @returns Whether it was written.
 */
export async function tryOutput(
  option: string,
  file: string,
  text: string,
  notice: (line: string) => void,
): Promise<boolean> {
  try {
    await writeOutput(option, file, text);
    return true;
  } catch (error) {
    if (!(error instanceof InvalidOptionError)) throw error;
    notice(error.message);
    return false;
  }
}

/** A value as the text of a JSON file. */
export function jsonText(value: unknown): string {
  return `${JSON.stringify(value, null, 2)}\n`;
}

/** Writes a value as JSON with a line break at the end. */
export async function writeJson(file: string, value: unknown): Promise<void> {
  await writeOutput('json', file, jsonText(value));
}

/** What keeps a file from being made beside another one that can itself be written, such as one mounted on its own. */
const NOT_BESIDE: readonly (string | undefined)[] = ['EACCES', 'EPERM', 'EROFS', 'EBUSY'];

function replaceFile(path: string, text: string): void {
  const old = statSync(path, { throwIfNoEntry: false });
  if (old !== undefined && !old.isFile()) {
    // Pipes and devices are written to, not replaced.
    writeFileSync(path, text);
    return;
  }
  // A link goes on pointing to where it did.
  const file = old === undefined ? path : realpathSync(path);
  const draft = join(dirname(file), `.frugal-${process.pid}-${randomBytes(6).toString('hex')}`);
  try {
    writeFileSync(draft, text, { flag: 'wx', flush: true });
    if (old !== undefined) chmodSync(draft, old.mode);
    renameSync(draft, file);
  } catch (error) {
    rmSync(draft, { force: true });
    if (old === undefined || !NOT_BESIDE.includes((error as NodeJS.ErrnoException).code)) throw error;
    writeFileSync(file, text);
  }
}

async function writing(option: string, path: string, operate: () => Promise<void>): Promise<void> {
  try {
    await operate();
  } catch (error) {
    throw new InvalidOptionError({
      parameter: option,
      found: `${path} (${(error as Error).message})`,
      expected: 'a file that can be written',
    });
  }
}

/**
 * A file with one JSON object a line, written as things happen: what is in it survives a crash. It never holds half a
 * line. Where it cannot be written, as on a full disk, that is a notice and what was being logged goes on; every further
 * event is tried again, on a full disk once there is a free block: what is left of the last one takes a short event, and
 * the next one fails again, with a notice each time.
 */
export class EventLog {
  readonly #path: string | null;
  readonly #notice: (line: string) => void;
  readonly #goesOn: boolean;
  #file: number | null = null;
  #missing = 0;
  #full = false;

  /**
   * @param path Where to write. Null: nowhere. Nothing is opened before the first event, so that a run that does not
   *   come to one leaves the file as it was.
   * @param notice Told in a line when the file cannot be written any more, and when it can be again.
   * @param goesOn Whether to write after what is in the file; else it is begun anew.
   */
  constructor(path: string | null, notice: (line: string) => void, goesOn = false) {
    this.#path = path;
    this.#notice = notice;
    this.#goesOn = goesOn;
  }

  write(event: string, fields: object): void {
    if (this.#path === null) return;
    if (this.#full && !hasFreeBlock(this.#path)) {
      this.#missing++;
      return;
    }
    try {
      const { O_WRONLY, O_CREAT, O_APPEND, O_TRUNC } = constants;
      this.#file ??= openSync(this.#path, O_WRONLY | O_CREAT | O_APPEND | (this.#goesOn ? 0 : O_TRUNC));
      appendWhole(this.#file, `${JSON.stringify({ event, ...fields })}\n`);
    } catch (error) {
      this.#full = (error as NodeJS.ErrnoException).code === 'ENOSPC';
      if (this.#missing++ === 0) {
        this.#notice(`log: ${this.#path} cannot be written (${(error as Error).message}). The run goes on without it.`);
      }
      return;
    }
    if (this.#missing > 0) {
      this.#notice(`log: ${this.#path} is written again; ${this.#missing} events are missing in it.`);
      this.#missing = 0;
      this.#full = false;
    }
  }

  close(): void {
    if (this.#file !== null) closeSync(this.#file);
    this.#file = null;
  }
}

/** Whether the disk of a file has room for more. True where it does not say, as a disk that counts no blocks. */
function hasFreeBlock(path: string): boolean {
  try {
    const { blocks, bavail } = statfsSync(dirname(path));
    return Number(blocks) === 0 || Number(bavail) > 0;
  } catch {
    return true;
  }
}

/** Appends all of a text or nothing: a disk that gets full takes the beginning. */
function appendWhole(file: number, text: string): void {
  const before = fstatSync(file);
  const bytes = Buffer.from(text);
  try {
    for (let at = 0; at < bytes.length; ) at += writeSync(file, bytes, at);
  } catch (error) {
    if (before.isFile()) ftruncateSync(file, before.size);
    throw error;
  }
}
