/** Entries of a tile: small enough for all arrays of a step to stay in the second-level cache. */
export const TILE = 32768;

const PAGE = 65536;
/** Between arrays: those of a tile are equally long, and at the same place of their pages they would evict each other. */
const GAP = 320;

/** A small WebAssembly memory that is filled from its start for every tile. */
export class TileMemory {
  readonly memory: WebAssembly.Memory = new WebAssembly.Memory({ initial: 16 });
  private used = 0;

  /** Forgets what was put in. */
  clear(): void {
    this.used = 0;
  }

  /** Copies values in and returns their byte offset. */
  put(values: Float32Array): number {
    const at = this.reserve(values.length);
    this.floats(at, values.length).set(values);
    return at;
  }

  /** Copies integers in, each less `base`, with room for `capacity` of them. */
  putIntegers(values: Int32Array, base: number, capacity: number): number {
    const at = this.reserve(capacity);
    const target = new Int32Array(this.memory.buffer, at, values.length);
    for (let i = 0; i < values.length; i++) target[i] = values[i]! - base;
    return at;
  }

  /** Byte offset of room for so many 4-byte values, aligned to a vector. */
  reserve(count: number): number {
    const at = this.used;
    this.used += 16 * Math.ceil(count / 4) + GAP;
    const missing = this.used - this.memory.buffer.byteLength;
    if (missing > 0) this.memory.grow(Math.ceil(missing / PAGE));
    return at;
  }

  /** The values at a byte offset; a view that growth invalidates. */
  floats(at: number, count: number): Float32Array {
    return new Float32Array(this.memory.buffer, at, count);
  }
}
