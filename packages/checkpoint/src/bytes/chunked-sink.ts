import type { ByteSink } from './sink.js';

/**
 * Gathers small writes into chunks of one size and hands those on, so that a file of many small tensors costs few
 * operations of the medium. Writes at least as large as a chunk pass without a copy unless `exact` is asked for.
 */
export class ChunkedSink implements ByteSink {
  readonly #buffer: Uint8Array;
  #filled = 0;

  /**
   * @param put Writes a chunk; must not keep it.
   * @param exact Whether every chunk but the last must have exactly `size` bytes.
   */
  constructor(
    private readonly put: (chunk: Uint8Array) => Promise<void>,
    private readonly finish: () => Promise<void>,
    size: number,
    private readonly exact = false,
  ) {
    this.#buffer = new Uint8Array(size);
  }

  async write(chunk: Uint8Array): Promise<void> {
    const size = this.#buffer.byteLength;
    let at = 0;
    while (at < chunk.byteLength) {
      const left = chunk.byteLength - at;
      if (this.#filled === 0 && left >= size) {
        const whole = this.exact ? size : left;
        await this.put(chunk.subarray(at, at + whole));
        at += whole;
        continue;
      }
      const taken = Math.min(left, size - this.#filled);
      this.#buffer.set(chunk.subarray(at, at + taken), this.#filled);
      this.#filled += taken;
      at += taken;
      if (this.#filled === size) await this.#flush();
    }
  }

  async close(): Promise<void> {
    if (this.#filled > 0) await this.#flush();
    await this.finish();
  }

  async #flush(): Promise<void> {
    await this.put(this.#buffer.subarray(0, this.#filled));
    this.#filled = 0;
  }
}
