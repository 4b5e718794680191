import type { KernelBackend } from '@tensorflow/tfjs-core';

interface Allocator {
  _malloc(bytes: number): number;
  _free(offset: number): void;
}

/**
 * Counts the bytes that tfjs's wasm backend allocates: what tensors really take, where `tf.memory()` counts shared data
 * more than once and sees nothing inside an operation.
 */
export class HeapMeter {
  /** The most bytes that were allocated at once since the start, less those freed of what was there before. */
  peak = 0;
  /** Bytes allocated now, of those allocated since the start. */
  live = 0;
  readonly #wasm: Allocator;
  readonly #own: Allocator;
  readonly #sizes: Map<number, number> = new Map();

  constructor(backend: KernelBackend) {
    const wasm = (backend as unknown as { readonly wasm: Allocator }).wasm;
    // These functions replace themselves when they are first called.
    wasm._free(wasm._malloc(8));
    this.#wasm = wasm;
    this.#own = { _malloc: wasm._malloc, _free: wasm._free };
    wasm._malloc = bytes => {
      const offset = this.#own._malloc(bytes);
      this.#sizes.set(offset, bytes);
      this.live += bytes;
      this.peak = Math.max(this.peak, this.live);
      return offset;
    };
    wasm._free = offset => {
      this.live -= this.#sizes.get(offset) ?? 0;
      this.#sizes.delete(offset);
      this.#own._free(offset);
    };
  }

  /** Forgets the peak; what is allocated still counts. */
  restart(): void {
    this.peak = this.live;
  }

  stop(): void {
    Object.assign(this.#wasm, this.#own);
  }
}
