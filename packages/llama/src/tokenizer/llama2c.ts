import { FormatError } from '../errors.js';
import type { Tokenizer } from './tokenizer.js';

const BEGIN = 1;
const END = 2;
/** Ids 3 … 258 stand for the bytes 0 … 255. */
const FIRST_BYTE = 3;
const BYTES = 256;

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
