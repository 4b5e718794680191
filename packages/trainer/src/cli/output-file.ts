import { closeSync, constants, existsSync, openSync, statSync, unlinkSync, writeFileSync, writeSync } from 'node:fs';
import { access } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
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

/** Writes a text to the file of an option, which may have become impossible since it was looked at. */
export async function writeOutput(option: string, file: string, text: string): Promise<void> {
  await writing(option, file, async () => writeFileSync(file, text));
}

/** Writes a value as JSON with a line break at the end. */
export async function writeJson(file: string, value: unknown): Promise<void> {
  await writeOutput('json', file, `${JSON.stringify(value, null, 2)}\n`);
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

/** A file with one JSON object a line, written as things happen: what is in it survives a crash. */
export class EventLog {
  readonly #path: string | null;
  readonly #goesOn: boolean;
  #file: number | null = null;

  /**
   * @param path Where to write. Null: nowhere. Nothing is opened before the first event, so that a run that does not
   *   come to one leaves the file as it was.
   * @param goesOn Whether to write after what is in the file; else it is begun anew.
   */
  constructor(path: string | null, goesOn = false) {
    this.#path = path;
    this.#goesOn = goesOn;
  }

  write(event: string, fields: object): void {
    if (this.#path === null) return;
    this.#file ??= openSync(this.#path, this.#goesOn ? 'a' : 'w');
    writeSync(this.#file, `${JSON.stringify({ event, ...fields })}\n`);
  }

  close(): void {
    if (this.#file !== null) closeSync(this.#file);
    this.#file = null;
  }
}
