import { Tokenizer as HuggingFaceTokenizer } from '@huggingface/tokenizers';
import { FormatError } from './errors.js';

/** Turns text into token ids and back. */
export interface Tokenizer {
  /** What it is, for logs and saved runs: `bytes`, `tokenizer.json` or `llama2.c`. */
  readonly kind: string;
  /** One more than the largest id: a model's `vocab_size` must be at least this. */
  readonly vocabSize: number;
  /** The id put in front of every document, or null if the vocabulary has none to spare. */
  readonly separator: number | null;
  /** Ids of a text; no special tokens are added. */
  encode(text: string): ArrayLike<number>;
  /** The text of ids; separators are dropped. */
  decode(ids: ArrayLike<number>): string;
}

const BYTES = 256;

/**
 * The tokenizer without a vocabulary: a token is a byte of the text's UTF-8. `decode(encode(text))` is `text` for every
 * well-formed string (unpaired surrogates have no UTF-8 and become U+FFFD).
 *
 * @param options.separator Adds id 256 as a document separator (default true): vocabulary 257 instead of 256.
 */
export function byteTokenizer(options: { readonly separator?: boolean } = {}): Tokenizer {
  const { separator = true } = options;
  const encoder = new TextEncoder();
  // A byte order mark at the start of a text is three tokens like any other.
  const decoder = new TextDecoder('utf-8', { ignoreBOM: true });
  return {
    kind: 'bytes',
    vocabSize: separator ? BYTES + 1 : BYTES,
    separator: separator ? BYTES : null,
    encode: text => encoder.encode(text),
    decode: ids => decoder.decode(bytesOf(ids)),
  };
}

function bytesOf(ids: ArrayLike<number>): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(ids.length);
  let count = 0;
  for (let i = 0; i < ids.length; i++) if (ids[i]! < BYTES) bytes[count++] = ids[i]!;
  return bytes.subarray(0, count);
}

/** What common vocabularies call the token between documents, most specific first. */
const SEPARATORS = ['<|endoftext|>', '<|end_of_text|>', '</s>', '<|eos|>', '<eos>', '[EOS]'];

/**
 * A Hugging Face `tokenizer.json`, run by `@huggingface/tokenizers`.
 *
 * The separator is `eos_token` of the tokenizer configuration, else the first of the usual end-of-text tokens that the
 * vocabulary has, else null.
 *
 * @param json The parsed `tokenizer.json`.
 * @param config The parsed `tokenizer_config.json` beside it, if there is one.
 * @throws FormatError if it is not a tokenizer that library can run.
 */
export function jsonTokenizer(json: object, config: Readonly<Record<string, unknown>> = {}): Tokenizer {
  requireObject('tokenizer.json', json);
  requireObject('tokenizer_config.json', config);
  const model = (json as { model?: unknown }).model;
  if (typeof model !== 'object' || model === null) {
    throw new FormatError({
      parameter: 'tokenizer.json',
      found: Object.keys(json),
      expected: 'an object with the key "model"',
      advice: 'vocab.json and tokenizer_config.json are other files of the same folder.',
    });
  }
  let tokenizer: HuggingFaceTokenizer;
  try {
    tokenizer = new HuggingFaceTokenizer(json, config);
  } catch (error) {
    throw new FormatError({
      parameter: 'tokenizer.json',
      found: (error as Error).message,
      expected: 'a tokenizer that @huggingface/tokenizers can run',
    });
  }
  let largest = -1;
  for (const id of tokenizer.get_vocab(true).values()) largest = Math.max(largest, id);

  const named = config['eos_token'] as string | { content?: string } | null | undefined;
  const endToken = typeof named === 'string' ? named : named?.content;
  const candidates = endToken === undefined ? SEPARATORS : [endToken, ...SEPARATORS];
  const separator = candidates.map(token => tokenizer.token_to_id(token)).find(id => id !== undefined) ?? null;
  return {
    kind: 'tokenizer.json',
    vocabSize: largest + 1,
    separator,
    encode: text => tokenizer.encode(text, { add_special_tokens: false }).ids,
    decode: ids => {
      const text = Array.from(ids).filter(id => id !== separator);
      if (text.length === 0) return '';
      return tokenizer.decode(text, { skip_special_tokens: true, clean_up_tokenization_spaces: false });
    },
  };
}

function requireObject(parameter: string, json: unknown): void {
  if (typeof json === 'object' && json !== null && !Array.isArray(json)) return;
  throw new FormatError({ parameter, found: json, expected: 'a JSON object' });
}

const BEGIN = 1;
const END = 2;
/** Ids 3 … 258 stand for the bytes 0 … 255. */
const FIRST_BYTE = 3;

interface Vocabulary {
  readonly pieces: readonly Uint8Array[];
  readonly scores: readonly number[];
}

/**
 * Reads llama2.c's tokenizer file: an int32 (length of the longest piece), then per piece a float32 score, an int32
 * length and the bytes. Encoding is SentencePiece's byte-pair merging: a space is put in front, every character becomes
 * its piece (or the pieces of its bytes), then the neighbors whose union has the highest score are merged, leftmost
 * first, until no union is in the vocabulary.
 *
 * @throws FormatError if the file ends inside a piece or holds fewer pieces than the bytes need.
 */
export function llama2cTokenizer(bytes: Uint8Array): Tokenizer {
  const { pieces, scores } = readPieces(bytes);
  const utf8 = new TextDecoder('utf-8', { ignoreBOM: true });
  const idOf = new Map<string, number>();
  // Ids 0 … 258 are control tokens and bytes: text never becomes one of them by its spelling.
  for (let id = FIRST_BYTE + BYTES; id < pieces.length; id++) {
    const text = utf8.decode(pieces[id]);
    if (!idOf.has(text)) idOf.set(text, id);
  }
  const encoder = new TextEncoder();
  const start = (character: string): { text: string; id: number }[] => {
    const id = idOf.get(character);
    if (id !== undefined) return [{ text: character, id }];
    return Array.from(encoder.encode(character), byte => ({ text: '', id: FIRST_BYTE + byte }));
  };
  return {
    kind: 'llama2.c',
    vocabSize: pieces.length,
    separator: BEGIN,
    encode: text => (text === '' ? [] : merge(Array.from(` ${text}`).flatMap(start), idOf, scores)),
    decode: ids => {
      const parts: Uint8Array[] = [];
      for (let i = 0; i < ids.length; i++) {
        const id = ids[i]!;
        if (id === BEGIN || id === END || id >= pieces.length) continue;
        const isByte = id >= FIRST_BYTE && id < FIRST_BYTE + BYTES;
        parts.push(isByte ? Uint8Array.of(id - FIRST_BYTE) : pieces[id]!);
      }
      const text = utf8.decode(concatenate(parts));
      return text.startsWith(' ') ? text.slice(1) : text;
    },
  };
}

interface Candidate {
  readonly score: number;
  readonly left: number;
  readonly text: string;
  readonly id: number;
}

/** Merges neighbors in a linked list; a heap hands out the best pair, and pairs whose parts have changed are dropped. */
function merge(
  symbols: { text: string; id: number }[],
  idOf: ReadonlyMap<string, number>,
  scores: readonly number[],
): number[] {
  const next = Int32Array.from(symbols, (_, i) => (i + 1 < symbols.length ? i + 1 : -1));
  const previous = Int32Array.from(symbols, (_, i) => i - 1);
  const alive = new Uint8Array(symbols.length).fill(1);
  const heap: Candidate[] = [];
  const propose = (left: number): void => {
    const right = left < 0 ? -1 : next[left]!;
    if (right < 0 || symbols[left]!.text === '' || symbols[right]!.text === '') return;
    const text = symbols[left]!.text + symbols[right]!.text;
    const id = idOf.get(text);
    if (id !== undefined) push(heap, { score: scores[id]!, left, text, id });
  };
  for (let i = 0; i + 1 < symbols.length; i++) propose(i);
  for (let best = pop(heap); best !== undefined; best = pop(heap)) {
    const { left, text, id } = best;
    const right = next[left]!;
    if (alive[left] === 0 || right < 0 || symbols[left]!.text + symbols[right]!.text !== text) continue;
    symbols[left] = { text, id };
    alive[right] = 0;
    next[left] = next[right]!;
    if (next[left]! >= 0) previous[next[left]!] = left;
    propose(previous[left]!);
    propose(left);
  }
  return symbols.filter((_, i) => alive[i] === 1).map(({ id }) => id);
}

function before(a: Candidate, b: Candidate): boolean {
  return a.score > b.score || (a.score === b.score && a.left < b.left);
}

function push(heap: Candidate[], candidate: Candidate): void {
  let at = heap.push(candidate) - 1;
  while (at > 0) {
    const parent = (at - 1) >> 1;
    if (!before(candidate, heap[parent]!)) break;
    heap[at] = heap[parent]!;
    at = parent;
  }
  heap[at] = candidate;
}

function pop(heap: Candidate[]): Candidate | undefined {
  const top = heap[0];
  const last = heap.pop();
  if (heap.length === 0 || last === undefined) return top;
  let at = 0;
  for (;;) {
    let child = 2 * at + 1;
    if (child >= heap.length) break;
    if (child + 1 < heap.length && before(heap[child + 1]!, heap[child]!)) child += 1;
    if (!before(heap[child]!, last)) break;
    heap[at] = heap[child]!;
    at = child;
  }
  heap[at] = last;
  return top;
}

function readPieces(bytes: Uint8Array): Vocabulary {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const pieces: Uint8Array[] = [];
  const scores: number[] = [];
  let at = 4;
  while (at < bytes.byteLength) {
    const length = at + 8 <= bytes.byteLength ? view.getInt32(at + 4, true) : -1;
    if (length < 0 || at + 8 + length > bytes.byteLength) {
      throw new FormatError({
        parameter: `llama2.c tokenizer, piece ${pieces.length}`,
        found: `${bytes.byteLength - at} bytes left`,
        expected: 'a score, a length and as many bytes',
        advice: 'The file is cut off or of another format.',
      });
    }
    scores.push(view.getFloat32(at, true));
    pieces.push(Uint8Array.from(bytes.subarray(at + 8, at + 8 + length)));
    at += 8 + length;
  }
  if (pieces.length < FIRST_BYTE + BYTES) {
    throw new FormatError({
      parameter: 'llama2.c tokenizer',
      found: `${pieces.length} pieces`,
      expected: `at least ${FIRST_BYTE + BYTES}: three control tokens and one per byte`,
    });
  }
  return { pieces, scores };
}

function concatenate(parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const all = new Uint8Array(parts.reduce((length, part) => length + part.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}
