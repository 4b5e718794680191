import { existsSync, statSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { DataError, FormatError } from '../errors.js';
import { byteTokenizer, jsonTokenizer, llama2cTokenizer, type Tokenizer } from '../tokenizer.js';
import { dataFolders, type FolderOptions, findData, readContent, readText } from './data-folders.js';

/**
 * Opens a tokenizer.
 *
 * @param name `bytes`; a `tokenizer.json` (also `.gz`) or the folder it is in, with its `tokenizer_config.json` if that
 *   lies beside it; a llama2.c `.bin`; or the name of a folder under `tokenizers` in a data folder.
 * @throws DataError if there is no such thing, FormatError if the file is not a tokenizer.
 */
export async function openTokenizer(name: string, options: FolderOptions = {}): Promise<Tokenizer> {
  if (name === 'bytes') return byteTokenizer();
  const file = locate(name, options);
  if (file === undefined) {
    throw new DataError({
      parameter: 'tokenizer',
      found: name,
      expected: 'bytes, a tokenizer.json (also .gz) or its folder, a llama2.c .bin, or a name in a data folder',
    });
  }
  if (/\.bin(\.gz)?$/i.test(file)) return llama2cTokenizer(await readContent(file));
  const config = join(dirname(file), 'tokenizer_config.json');
  return jsonTokenizer(await readJson(file), existsSync(config) ? await readJson(config) : {});
}

/**
 * The files of a tokenizer as transformers' `AutoTokenizer` reads them, by name: `tokenizer.json` and, where it lies
 * beside it, `tokenizer_config.json`. None for `bytes` and llama2.c, which have no such files.
 *
 * @param name As for {@link openTokenizer}.
 */
export async function tokenizerFiles(name: string, options: FolderOptions = {}): Promise<Record<string, string>> {
  const file = name === 'bytes' ? undefined : locate(name, options);
  if (file === undefined || /\.bin(\.gz)?$/i.test(file)) return {};
  const config = join(dirname(file), 'tokenizer_config.json');
  return {
    'tokenizer.json': await readText(file),
    ...(existsSync(config) ? { 'tokenizer_config.json': await readText(config) } : {}),
  };
}

function locate(name: string, options: FolderOptions): string | undefined {
  const path = resolve(options.cwd ?? process.cwd(), name);
  if (existsSync(path)) return statSync(path).isDirectory() ? findData('tokenizer.json', [path]) : path;
  return findData(join('tokenizers', name, 'tokenizer.json'), dataFolders(options));
}

async function readJson(path: string): Promise<Record<string, unknown>> {
  const text = await readText(path);
  try {
    return JSON.parse(text) as Record<string, unknown>;
  } catch (error) {
    throw new FormatError({ parameter: path, found: (error as Error).message, expected: 'JSON' });
  }
}
