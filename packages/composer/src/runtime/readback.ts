import { getBackend } from '@tensorflow/tfjs-core';

const READABLE: ReadonlySet<string> = new Set(['cpu', 'wasm', 'tensorflow']);

/**
 * Whether a number can be read back at once on the current backend. Not on `webgpu`, where `dataSync()` throws in Node
 * and stalls in a page, nor on `webgl`, where it stalls; of other backends nothing is known.
 */
export function readsBackAtOnce(): boolean {
  return READABLE.has(getBackend());
}
