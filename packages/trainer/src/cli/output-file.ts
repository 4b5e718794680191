import { accessSync, constants, existsSync, mkdirSync, statSync, writeFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { InvalidOptionError } from '@frugaljs/core';

/**
 * Makes sure that a file can be written, before the work that will fill it. Creates the folder.
 *
 * @throws InvalidOptionError naming the option.
 */
export function requireWritable(option: string, path: string): string {
  const file = resolve(path);
  try {
    mkdirSync(dirname(file), { recursive: true });
    if (existsSync(file) && statSync(file).isDirectory()) throw new Error('it is a folder');
    accessSync(existsSync(file) ? file : dirname(file), constants.W_OK);
  } catch (error) {
    throw new InvalidOptionError({
      parameter: option,
      found: `${path} (${(error as Error).message})`,
      expected: 'a file that can be written',
    });
  }
  return file;
}

/** Writes a value as JSON with a line break at the end. */
export function writeJson(file: string, value: unknown): void {
  writeFileSync(file, `${JSON.stringify(value, null, 2)}\n`);
}
