import { getBackend } from '@tensorflow/tfjs-core';

const READABLE = new Set(['cpu', 'wasm', 'tensorflow']);

/**
 * Whether reading a small tensor back is possible and cheap on the current backend: true on `cpu`, `wasm` and
 * `tensorflow`, false on `webgpu` (where dataSync throws in Node), `webgl` (where it stalls the pipeline) and unknown
 * backends. It is the default of every `host` option in this package.
 */
export function readsBackCheaply(): boolean {
  return READABLE.has(getBackend());
}
