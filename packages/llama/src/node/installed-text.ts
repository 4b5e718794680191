import { type Dirent, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Corpus } from '../data/corpus.js';
import { DataError } from '../errors.js';
import { ancestors } from './data-folders.js';

const ENOUGH = 1 << 20;
const MOST = 1 << 22;
const SHORTEST = 400;
/** One file in so many is held out. */
const HELD_OUT_EVERY = 10;

// Prose first. Licenses are left out: they repeat each other, and a model would learn them by heart.
const KINDS = [/^(?!licen[cs]e).*\.(md|markdown)$/i, /\.d\.[cm]?ts$/i, /\.[cm]?js$/i];

/**
 * Text that every install brings: the documentation of the installed packages and, if that is less than 1 MiB, their
 * type declarations and then their code, 4 MiB at most. Files come in the order of their paths, copies are dropped, and
 * every tenth is held out for validation: the same install always gives the same corpus.
 *
 * @throws DataError if no `node_modules` folder with text can be found.
 */
export function installedText(cwd: string): Corpus {
  const documents: string[] = [];
  const seen = new Set<string>();
  const folder = packageFolder(cwd);
  let size = 0;
  for (const kind of folder === undefined ? [] : KINDS) {
    if (size >= ENOUGH) break;
    for (const path of files(folder!, kind)) {
      const text = readFileSync(path, 'utf8');
      if (text.length < SHORTEST || seen.has(text)) continue;
      seen.add(text);
      documents.push(text);
      size += text.length;
      if (size >= MOST) break;
    }
  }
  if (documents.length < HELD_OUT_EVERY) {
    throw new DataError({
      parameter: 'installed text',
      found: `${documents.length} files`,
      expected: 'a node_modules folder with the documentation of some packages',
      advice: 'Give a text file as data.',
    });
  }
  const isHeldOut = (_: string, index: number): boolean => index % HELD_OUT_EVERY === HELD_OUT_EVERY - 1;
  return {
    name: 'installed-text',
    origin: `${documents.length} files of the installed packages, ${(size / 1e6).toFixed(1)} million characters`,
    train: documents.filter((text, index) => !isHeldOut(text, index)),
    validation: documents.filter(isHeldOut),
  };
}

/** The nearest `node_modules` with packages in it: seen from the current directory, else from this package. */
function packageFolder(cwd: string): string | undefined {
  const starts = [cwd, fileURLToPath(new URL('.', import.meta.url))];
  const candidates = starts.flatMap(ancestors).map(folder => join(folder, 'node_modules'));
  return candidates.find(folder => entries(folder).length > HELD_OUT_EVERY);
}

function* files(folder: string, kind: RegExp): Generator<string> {
  for (const entry of entries(folder)) {
    const path = join(folder, entry.name);
    // Hidden folders hold caches, which change from run to run; pnpm's holds the packages.
    if (entry.isDirectory() && (!entry.name.startsWith('.') || entry.name === '.pnpm')) yield* files(path, kind);
    else if (entry.isFile() && kind.test(entry.name)) yield path;
  }
}

function entries(folder: string): Dirent[] {
  try {
    const found = readdirSync(folder, { withFileTypes: true });
    // By code unit rather than by locale, so that the order is the same everywhere.
    return found.sort((a, b) => (a.name < b.name ? -1 : 1));
  } catch {
    return [];
  }
}
