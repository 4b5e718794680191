/**
 * `@frugaljs/backend-node`: fused updates on tfjs's backend "tensorflow", which tfjs-node and tfjs-node-gpu bring.
 * Importing it registers the kernels and is the whole opt-in; it loads neither of the two.
 */
import { registerKernels } from '@frugaljs/core';
import { BACKEND_NAME } from './load.js';
import { tensorFlowKernels } from './tensorflow-kernels.js';

registerKernels(BACKEND_NAME, tensorFlowKernels);

export { TensorFlowUnavailableError } from './errors.js';
export { BACKEND_NAME, type LoadedTensorFlow, loadTensorFlow } from './load.js';
export { FOLDER_VARIABLE } from './locate.js';
