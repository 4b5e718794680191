import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';

/** The two packages that bring the backend, the faster one first. */
export const PACKAGES = ['@tensorflow/tfjs-node-gpu', '@tensorflow/tfjs-node'] as const;

/** The environment variable that names a folder with `node_modules/@tensorflow/tfjs-node` or `…-gpu` in it. */
export const FOLDER_VARIABLE = 'FRUGAL_TENSORFLOW';

/** Where the development script of this project prepares tfjs-node. */
const PREPARED = join('.cache', 'tensorflow');

/** An installed package. */
export interface InstalledPackage {
  readonly name: (typeof PACKAGES)[number];
  /** The file to import. */
  readonly entry: string;
}

/**
 * Finds tfjs-node-gpu or tfjs-node: in the folder that {@link FOLDER_VARIABLE} names and nowhere else if that is set;
 * else where this package would import it from, then in the working directory's dependencies.
 *
 * @returns The packages that are there, in the order in which to try them, and the folders looked in.
 */
export function locateTensorFlow(): {
  readonly found: readonly InstalledPackage[];
  readonly looked: readonly string[];
} {
  const named = process.env[FOLDER_VARIABLE];
  const folders = named ? [resolve(named)] : [process.cwd(), resolve(PREPARED)];
  const bases = folders.map(folder => pathToFileURL(join(folder, 'index.js')).href);
  if (!named) bases.unshift(import.meta.url);
  const found: InstalledPackage[] = [];
  for (const base of bases) {
    const { resolve: find } = createRequire(base);
    for (const name of PACKAGES) {
      const entry = attempt(() => find(name));
      if (entry !== null && existsSync(entry) && found.every(other => other.entry !== entry))
        found.push({ name, entry });
    }
  }
  return { found, looked: named ? folders : ['the dependencies of @frugaljs/backend-node', ...folders] };
}

function attempt(find: () => string): string | null {
  try {
    return find();
  } catch {
    return null;
  }
}
