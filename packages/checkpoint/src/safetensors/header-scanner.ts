import { InvalidCheckpointError } from '../errors.js';

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const LONGEST_NUMBER = 16;
const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/**
 * Reads the tokens of a safetensors header. The grammar of the header is fixed and flat, so there is no recursion and
 * no value that the format does not have: deep nesting, fractions and unknown fields end at their first byte.
 */
export class HeaderScanner {
  #at = 0;

  constructor(
    private readonly bytes: Uint8Array,
    private readonly label: string,
  ) {}

  /** Takes a punctuation character if it comes next. */
  accepts(character: string): boolean {
    this.#skipSpace();
    if (this.bytes[this.#at] !== character.charCodeAt(0)) return false;
    this.#at++;
    return true;
  }

  expect(character: string): void {
    if (!this.accepts(character)) throw this.complaint(`"${character}"`);
  }

  /** Reads the members of an object, each key followed by what `member` reads. */
  object(member: (key: string) => void): void {
    this.expect('{');
    if (this.accepts('}')) return;
    const keys = new Set<string>();
    do {
      const key = this.string();
      if (keys.has(key)) throw this.complaint('every key once', `the key ${JSON.stringify(key)} a second time`);
      keys.add(key);
      this.expect(':');
      member(key);
    } while (this.accepts(','));
    this.expect('}');
  }

  /** Reads a list of non-negative integers. */
  integers(longest: number): number[] {
    this.expect('[');
    const list: number[] = [];
    if (this.accepts(']')) return list;
    do {
      if (list.length === longest) throw this.complaint(`at most ${longest} numbers in a list`);
      list.push(this.integer());
    } while (this.accepts(','));
    this.expect(']');
    return list;
  }

  /** Reads a string. */
  string(): string {
    this.expect('"');
    const start = this.#at;
    let plain = true;
    for (; this.bytes[this.#at] !== QUOTE; this.#at++) {
      const byte = this.bytes[this.#at];
      if (byte === undefined || byte < 0x20) throw this.complaint('a closed string without control characters');
      if (byte === BACKSLASH) {
        plain = false;
        this.#at++;
      }
    }
    const end = this.#at++;
    try {
      if (plain) return utf8.decode(this.bytes.subarray(start, end));
      const text = JSON.parse(utf8.decode(this.bytes.subarray(start - 1, end + 1))) as string;
      if (!/\p{Surrogate}/u.test(text)) return text;
    } catch {
      // Reported below, with the place.
    }
    this.#at = start;
    throw this.complaint('a string in UTF-8 with the escapes of JSON');
  }

  /** Checks that nothing but space is left. */
  finish(): void {
    this.#skipSpace();
    if (this.#at < this.bytes.length) throw this.complaint('the end of the header');
  }

  complaint(expected: string, found: string = this.#rest()): InvalidCheckpointError {
    return new InvalidCheckpointError({
      parameter: `${this.label}: header at byte ${this.#at}`,
      found,
      expected,
      advice: 'The file was altered or is no safetensors file.',
    });
  }

  private integer(): number {
    this.#skipSpace();
    const start = this.#at;
    let value = 0;
    for (
      let byte = this.bytes[this.#at];
      byte !== undefined && byte >= 0x30 && byte <= 0x39;
      byte = this.bytes[this.#at]
    ) {
      value = 10 * value + (byte - 0x30);
      this.#at++;
      if (this.#at - start > LONGEST_NUMBER) break;
    }
    const length = this.#at - start;
    const leadingZero = length > 1 && this.bytes[start] === 0x30;
    if (length > 0 && !leadingZero && Number.isSafeInteger(value)) return value;
    this.#at = start;
    throw this.complaint('an integer from 0 to 2^53 - 1');
  }

  #skipSpace(): void {
    for (;;) {
      const byte = this.bytes[this.#at];
      if (byte !== 0x20 && byte !== 0x0a && byte !== 0x0d && byte !== 0x09) return;
      this.#at++;
    }
  }

  #rest(): string {
    if (this.#at >= this.bytes.length) return 'its end';
    return JSON.stringify(new TextDecoder().decode(this.bytes.subarray(this.#at, this.#at + 24)));
  }
}
