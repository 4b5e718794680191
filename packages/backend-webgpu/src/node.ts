/**
 * `@frugaljs/backend-webgpu/node`: WebGPU in Node, through the package `webgpu` (Dawn). Importing it installs
 * `navigator.gpu` and registers the tfjs backend `webgpu` with its kernels.
 */
import { installWebGpu } from './node/install.js';
import { registerWebGpu } from './register.js';

await installWebGpu();
registerWebGpu();

export * from './index.js';
export { findSoftwareDriver, installWebGpu } from './node/install.js';
