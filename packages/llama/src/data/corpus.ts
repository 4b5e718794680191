/** Text to train on and text to validate with. */
export interface Corpus {
  /** The name or path it was asked for by. */
  readonly name: string;
  /** Where the text came from, for logs and reports. */
  readonly origin: string;
  readonly train: readonly string[];
  readonly validation: readonly string[];
}
