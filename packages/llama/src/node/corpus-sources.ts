import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, rename, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { collect, gunzip, LARGEST_FILE } from '../corpus.js';
import { DataError, IntegrityError } from '../errors.js';

/** A file of a corpus: its place in a data folder and, if it can be fetched, where and what it must be. */
export interface CorpusFile {
  /** Path below a data folder; `.gz` may follow it there. */
  readonly path: string;
  readonly url?: string;
  /** Length of the content, decompressed. */
  readonly bytes?: number;
  /** SHA-256 of the content, decompressed, in hexadecimal. */
  readonly sha256?: string;
  /** What its publication tells of it, for a file whose SHA-256 could not be established. */
  readonly counts?: WordCounts;
}

/** Words between blanks (not those of Unicode, some of which are words of their own); the end of every line counts as one. */
interface WordCounts {
  readonly tokens: number;
  /** Different ones. */
  readonly vocabulary: number;
}

/** One set of files that makes up a corpus. Without `validation` the tail of `train` is held out. */
export interface CorpusEdition {
  readonly train: CorpusFile;
  readonly validation?: CorpusFile;
}

/** Editions of a named corpus: data folders are searched for each in turn, the one that has addresses is downloaded. */
export type CorpusSource = readonly CorpusEdition[];

/** The address of a file in a public GitHub repository at a fixed commit. */
function raw(repository: string, commit: string, path: string): string {
  return `https://raw.githubusercontent.com/${repository}/${commit}/${path}`;
}

const WIKITEXT_COMMIT = '37ce9402ff0cae48d764d7788810fd2ed8238b25';
const WIKITEXT_FOLDER = 'word_language_model/data/wikitext-2';

/**
 * The corpora known by name.
 *
 * - `shakespeare`: 1.1 MB of plays (public domain).
 * - `wikitext2`: 10.8 MB of Wikipedia articles, tokenized by words (Merity et al. 2016; CC BY-SA 3.0).
 * - `c4`: web pages (Raffel et al. 2020; ODC-BY). A data folder may hold any number of them as `c4/train.jsonl` and
 *   `c4/validation.jsonl`; the download is the first 1000 of the English training set.
 * - `tinystories`: 1.4 MB of children's stories (Eldan & Li 2023; CDLA-Sharing 1.0).
 */
export const corpusSources: Readonly<Record<string, CorpusSource>> = {
  shakespeare: [
    {
      train: {
        path: 'tinyshakespeare/input.txt',
        url: raw('karpathy/char-rnn', 'd1d7aa34fdb3626174bce1d753e6cc6845ce7087', 'data/tinyshakespeare/input.txt'),
        bytes: 1115394,
        sha256: '86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed',
      },
    },
  ],
  wikitext2: [
    {
      // No checksum of this file could be established: its length, the commit in the address and the numbers that its
      // paper gives (Merity et al. 2016, table 1) stand for it.
      train: {
        path: 'wikitext-2/train.txt',
        url: raw('pytorch/examples', WIKITEXT_COMMIT, `${WIKITEXT_FOLDER}/train.txt`),
        bytes: 10797148,
        counts: { tokens: 2088628, vocabulary: 33278 },
      },
      validation: {
        path: 'wikitext-2/valid.txt',
        url: raw('pytorch/examples', WIKITEXT_COMMIT, `${WIKITEXT_FOLDER}/valid.txt`),
        bytes: 1121681,
        sha256: 'f0737ed31fc1329026e95cb8b98e19c2a182c39c240ab909dc31abf2f8af58e8',
      },
    },
  ],
  c4: [
    { train: { path: 'c4/train.jsonl' }, validation: { path: 'c4/validation.jsonl' } },
    {
      train: {
        path: 'c4/sample-1000.jsonl',
        url: raw(
          'Diffusion-bachelor/diffusion-data-constraint-rare-events',
          '3305ae85ae51f4882f291ff894d49946af655a11',
          'data/c4_sample.jsonl',
        ),
        bytes: 2358289,
        sha256: 'cdd5b754119131d2934e3e799a059a9d64f53a6aac9e7e2ef79b43120bb01a32',
      },
    },
  ],
  tinystories: [
    {
      train: {
        path: 'tinystories/v2-1727.txt',
        url: raw('mines-opt-ml/decoding-gpt', 'b7753c9b80f5b19105f2f4833c135adebf62276b', 'data/tinystories_10k.txt'),
        bytes: 1424708,
        sha256: '5a19b936d7b53bbdac1eea03230b00161dceca24ae272f5bd8e9dbbc2a883418',
      },
    },
  ],
};

/** @throws IntegrityError if the content has not the length, SHA-256 or words that the table gives. */
export function checkIntegrity(content: Uint8Array, file: CorpusFile, where: string): void {
  if (file.bytes !== undefined && content.length !== file.bytes) {
    throw new IntegrityError({
      parameter: where,
      found: `${content.length} bytes`,
      expected: `${file.bytes} bytes`,
      advice: 'It is cut off or not the published file: delete it if it is a file of yours, and try again.',
    });
  }
  const [expected, found] =
    file.sha256 !== undefined
      ? [`SHA-256 ${file.sha256}`, `SHA-256 ${createHash('sha256').update(content).digest('hex')}`]
      : file.counts !== undefined
        ? [countsText(file.counts), countsText(wordCounts(content))]
        : ['', ''];
  if (found !== expected) {
    throw new IntegrityError({
      parameter: where,
      found,
      expected,
      advice: 'It is not the published file: delete it if it is a file of yours, and try again.',
    });
  }
}

function wordCounts(content: Uint8Array): WordCounts {
  let tokens = 0;
  const vocabulary = new Set<string>(['\n']);
  for (const line of new TextDecoder().decode(content).split('\n').slice(0, -1)) {
    const words = line.match(/[^ \t\r]+/g) ?? [];
    for (const word of words) vocabulary.add(word);
    tokens += words.length + 1;
  }
  return { tokens, vocabulary: vocabulary.size };
}

function countsText({ tokens, vocabulary }: WordCounts): string {
  return `${tokens} tokens of ${vocabulary} words`;
}

/**
 * Fetches a file, checks it and then stores it, so that a stored file is always whole.
 *
 * @param target Where to keep it.
 * @param timeout Milliseconds for the whole transfer.
 * @throws DataError if it cannot be fetched or stored, IntegrityError if it is another file; nothing is stored in either case.
 */
export async function download(
  file: CorpusFile & { readonly url: string },
  target: string,
  timeout: number,
): Promise<Uint8Array> {
  const content = await gunzip(await fetchBytes(file.url, timeout), file.url);
  checkIntegrity(content, file, file.url);
  const partial = `${target}.${process.pid}.part`;
  try {
    await makeFolder(dirname(target));
    await writeFile(partial, content);
    await rename(partial, target);
  } catch (error) {
    throw new DataError({
      parameter: target,
      found: (error as Error).message,
      expected: 'a folder to keep downloads in',
      advice: 'Name one that can be written in FRUGAL_CACHE.',
    });
  }
  return content;
}

/** Node's recursive `mkdir` never ends where a file system takes no folders, as under /proc. */
async function makeFolder(path: string): Promise<void> {
  if (existsSync(path)) return;
  if (dirname(path) !== path) await makeFolder(dirname(path));
  await mkdir(path).catch((error: unknown) => {
    if (!existsSync(path)) throw error;
  });
}

async function fetchBytes(url: string, timeout: number): Promise<Uint8Array> {
  try {
    // A file at a commit has one address; wherever else a server leads is not it.
    const response = await fetch(url, { redirect: 'manual', signal: AbortSignal.timeout(timeout) });
    if (response.status >= 300 && response.status < 400) {
      throw new Error(`a redirect to ${response.headers.get('location')}, which is not followed`);
    }
    if (!response.ok) throw new Error(`HTTP status ${response.status}`);
    const body = response.body === null ? new Uint8Array() : await collect(response.body, LARGEST_FILE);
    if (body === null) throw new Error(`more than ${LARGEST_FILE} bytes`);
    return body;
  } catch (error) {
    const { message, cause } = error as Error & { cause?: { code?: string; message?: string } };
    const reason = cause?.code ?? cause?.message;
    throw new DataError({
      parameter: url,
      found: reason === undefined ? message : `${message} (${reason})`,
      expected: 'a download',
      advice: 'Without a network, put the file into a folder and name that folder in FRUGAL_DATA.',
    });
  }
}
