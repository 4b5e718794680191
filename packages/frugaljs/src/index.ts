/**
 * `frugaljs`: the optimizers with their kernels for tfjs's wasm backend, the default in Node and in pages: no driver, no
 * native build. Begin with `await tf.setBackend('wasm')`.
 */
import '@frugaljs/backend-wasm';

export * from './library.js';
