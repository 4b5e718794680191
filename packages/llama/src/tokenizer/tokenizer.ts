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
