/**
 * `frugaljs/node`: the same on TensorFlow, through tfjs-node or tfjs-node-gpu, which have to be installed besides.
 * Begin with `await loadTensorFlow()`.
 */
export { loadTensorFlow } from '@frugaljs/backend-node';
export * from './library.js';
