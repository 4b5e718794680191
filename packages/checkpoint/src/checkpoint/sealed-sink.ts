import type { Crc32 } from '../bytes/crc32.js';
import type { ByteSink } from '../bytes/sink.js';
import { crcText, type FileSeal } from './manifest.js';

/** Between two slices of this size training gets a turn: a CRC-32 of more takes milliseconds. */
const SLICE = 2 ** 23;

/** Computes the seal of a file while it is written. */
export class SealedSink implements ByteSink {
  #bytes = 0;
  #crc = 0;

  constructor(
    private readonly sink: ByteSink,
    private readonly crc32: Crc32,
  ) {}

  async write(chunk: Uint8Array): Promise<void> {
    for (let at = 0; at < chunk.byteLength; at += SLICE) {
      const slice = chunk.subarray(at, at + SLICE);
      this.#crc = this.crc32(slice, this.#crc);
      this.#bytes += slice.byteLength;
      await this.sink.write(slice);
    }
  }

  async close(): Promise<void> {
    await this.sink.close();
  }

  get seal(): FileSeal {
    return { bytes: this.#bytes, crc32: crcText(this.#crc) };
  }
}
