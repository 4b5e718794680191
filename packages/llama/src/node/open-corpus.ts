import { type Dirent, existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Corpus, decodeText, documentFormat, LARGEST_FILE, parseDocuments, splitTail } from '../corpus.js';
import { ArgumentError, DataError } from '../errors.js';
import { type CorpusFile, type CorpusSource, checkIntegrity, corpusSources, download } from './corpus-sources.js';
import { ancestors, cacheFolder, dataFolders, type FolderOptions, findData, readContent } from './data-folders.js';

export interface CorpusOptions extends FolderOptions {
  /** Share of the text held out where the corpus names no validation text (default 0.1). */
  readonly validationFraction?: number;
  /** Whether a named corpus may be downloaded (default true). */
  readonly download?: boolean;
  /** Milliseconds for one download (default 120000). */
  readonly timeout?: number;
  /**
   * Told in one line when something else than the corpus asked for is used, or when a file is not quite UTF-8 (default:
   * standard error).
   */
  readonly log?: (line: string) => void;
  /** The corpora known by name (default {@link corpusSources}). */
  readonly sources?: Readonly<Record<string, CorpusSource>>;
}

/**
 * Opens the text to train on.
 *
 * A file (`.txt`, or `.jsonl` with the key `text`; either may be `.gz`) is read as {@link decodeText} does. A name is looked up in the data
 * folders ({@link dataFolders}), then in the cache, then downloaded into the cache. If it cannot be had, the text of
 * the installed packages takes its place, and `log` says so.
 *
 * @param data A path, or a name such as `shakespeare`.
 * @throws DataError if `data` is neither; FormatError for a malformed file; IntegrityError if a download or a cached
 *   file is not the published one.
 */
export async function openCorpus(data: string, options: CorpusOptions = {}): Promise<Corpus> {
  const { cwd = process.cwd(), validationFraction = 0.1, sources = corpusSources, log = toStandardError } = options;
  if (!(validationFraction > 0 && validationFraction < 1)) {
    throw new ArgumentError({
      parameter: 'validationFraction',
      found: validationFraction,
      expected: 'a number between 0 and 1',
    });
  }
  if (Object.hasOwn(sources, data)) return openNamed(data, sources[data]!, validationFraction, options);

  const path = resolve(cwd, data);
  if (!existsSync(path)) {
    throw new DataError({
      parameter: 'data',
      found: data,
      expected: `a .txt or .jsonl file (also .gz), or one of ${Object.keys(sources).join(', ')}`,
      advice: `There is nothing at ${path}.`,
    });
  }
  const text = decodeText(await readContent(path), path, log);
  const documents = parseDocuments(text, documentFormat(path), path);
  return { name: data, origin: path, ...splitTail(documents, validationFraction, path) };
}

function toStandardError(line: string): void {
  console.error(line);
}

async function openNamed(
  name: string,
  source: CorpusSource,
  fraction: number,
  options: CorpusOptions,
): Promise<Corpus> {
  const { cwd = process.cwd(), log = toStandardError } = options;
  const folders = dataFolders(options);
  for (const edition of source) {
    const train = findData(edition.train.path, folders);
    const validation = edition.validation && findData(edition.validation.path, folders);
    if (train === undefined || (edition.validation !== undefined && validation === undefined)) continue;
    const cache = cacheFolder(options);
    return assemble(
      name,
      train,
      fraction,
      await readFound(edition.train, train, cache),
      edition.validation && (await readFound(edition.validation, validation!, cache)),
    );
  }
  try {
    return await fetchNamed(name, source, fraction, options);
  } catch (error) {
    if (!(error instanceof DataError)) throw error;
    const corpus = installedText(cwd);
    log(`No text "${name}" here (${error.message}) Using ${corpus.origin} instead.`);
    return corpus;
  }
}

async function fetchNamed(
  name: string,
  source: CorpusSource,
  fraction: number,
  options: CorpusOptions,
): Promise<Corpus> {
  const edition = source.find(({ train, validation }) => train.url && (validation === undefined || validation.url));
  if (options.download === false || edition === undefined) {
    throw new DataError({ parameter: 'data', found: name, expected: 'files in a data folder or leave to download' });
  }
  const fetched = async (file: CorpusFile): Promise<string> => {
    const target = join(cacheFolder(options), file.path);
    const content = await download({ ...file, url: file.url! }, target, options.timeout ?? 120_000);
    return new TextDecoder().decode(content);
  };
  const train = await fetched(edition.train);
  const validation = edition.validation && (await fetched(edition.validation));
  return assemble(name, edition.train.url!, fraction, train, validation);
}

/** Files of the cache were checked when they were stored; checking again finds the ones that were damaged since. */
async function readFound(file: CorpusFile, path: string, cache: string): Promise<string> {
  const content = await readContent(path);
  if (path.startsWith(cache)) checkIntegrity(content, file, path);
  return new TextDecoder().decode(content);
}

function assemble(name: string, origin: string, fraction: number, train: string, validation?: string): Corpus {
  const format = documentFormat(origin);
  const documents = parseDocuments(train, format, origin);
  if (validation === undefined) return { name, origin, ...splitTail(documents, fraction, origin) };
  return { name, origin, train: documents, validation: parseDocuments(validation, format, `validation of ${name}`) };
}

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
      if (statSync(path).size > LARGEST_FILE) continue;
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
