/**
 * `@frugaljs/backend-webgpu/node`: WebGPU in Node, through the package `webgpu` (Dawn). Importing it installs
 * `navigator.gpu` and registers the tfjs backend `webgpu` with its kernels.
 */
import { installWebGpu } from './node/install.js';

await installWebGpu();
const { registerWebGpu } = await import('./register.js');
registerWebGpu();

export * from './index.js';
export { describeAdapter, findSoftwareDriver, installWebGpu } from './node/install.js';
