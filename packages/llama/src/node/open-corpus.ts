import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import type { Corpus } from '../data/corpus.js';
import { decodeText } from '../data/decode-text.js';
import { documentFormat, parseDocuments, splitTail } from '../data/documents.js';
import { ArgumentError, DataError } from '../errors.js';
import { type CorpusFile, type CorpusSource, corpusSources } from './corpus-sources.js';
import { cacheFolder, dataFolders, type FolderOptions, findData } from './data-folders.js';
import { checkIntegrity, download } from './download.js';
import { installedText } from './installed-text.js';
import { readContent } from './read-file.js';

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
