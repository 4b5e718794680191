/**
 * `frugaljs/webgpu`: the same on WebGPU, in a page; in Node, import `@frugaljs/backend-webgpu/node` before it. Begin with
 * `await startWebGpu()`, which says what is missing.
 */
export { startWebGpu } from '@frugaljs/backend-webgpu';
export * from './library.js';
