/**
 * `frugaljs/node`: the same on TensorFlow, through tfjs-node or tfjs-node-gpu; `npm install @frugaljs/backend-node` and one
 * of the two come first. Begin with `await loadTensorFlow()`.
 */
export { loadTensorFlow } from '@frugaljs/backend-node';
export * from './library.js';
