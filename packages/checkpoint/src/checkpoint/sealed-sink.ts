import type { Crc32 } from '../bytes/crc32.js';
import type { ByteSink } from '../bytes/sink.js';
import { crcText, type FileSeal } from './manifest.js';

/** Computes the seal of a file while it is written. */
export class SealedSink implements ByteSink {
  #bytes = 0;
  #crc = 0;

  constructor(
    private readonly sink: ByteSink,
    private readonly crc32: Crc32,
  ) {}

  async write(chunk: Uint8Array): Promise<void> {
    this.#crc = this.crc32(chunk, this.#crc);
    this.#bytes += chunk.byteLength;
    await this.sink.write(chunk);
  }

  async close(): Promise<void> {
    await this.sink.close();
  }

  get seal(): FileSeal {
    return { bytes: this.#bytes, crc32: crcText(this.#crc) };
  }
}
