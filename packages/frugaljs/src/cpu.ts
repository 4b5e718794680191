/** `frugaljs/cpu`: the same on tfjs's cpu backend, which starts at once and suits small models and tests. */
import '@frugaljs/backend-wasm/cpu';
import '@tensorflow/tfjs-backend-cpu';

export * from './library.js';
