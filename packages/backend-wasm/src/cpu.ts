/**
 * `@frugaljs/backend-wasm/cpu`: fused updates for tfjs's cpu backend. Importing it is the whole opt-in; it does not load
 * tfjs's wasm backend.
 */
import { registerKernels } from '@frugaljs/core';
import { tileKernels } from './fused/tile-kernels.js';

registerKernels('cpu', tileKernels);

export { TileKernels } from './fused/tile-kernels.js';
