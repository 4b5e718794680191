/** A file of a corpus: its place in a data folder and, if it can be fetched, where and what it must be. */
export interface CorpusFile {
  /** Path below a data folder; `.gz` may follow it there. */
  readonly path: string;
  readonly url?: string;
  /** Length of the content, decompressed. */
  readonly bytes?: number;
  /** SHA-256 of the content, decompressed, in hexadecimal. */
  readonly sha256?: string;
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
      // No checksum of this file could be established, so its length and the commit in the address stand for it.
      train: {
        path: 'wikitext-2/train.txt',
        url: raw('pytorch/examples', WIKITEXT_COMMIT, `${WIKITEXT_FOLDER}/train.txt`),
        bytes: 10797148,
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
