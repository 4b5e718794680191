import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const folder =
  process.env['FRUGAL_DATA'] ?? join(fileURLToPath(new URL('../../../', import.meta.url)), '..', 'shared', 'data');

/** A file of the data folder (`$FRUGAL_DATA`, else `../shared/data` beside the repository), or null, saying why. */
export function dataFile(path: string): string | null {
  const file = join(folder, path);
  if (existsSync(file)) return file;
  console.warn(`skipped: ${path} is not in ${folder}; set FRUGAL_DATA to a folder that holds it`);
  return null;
}
