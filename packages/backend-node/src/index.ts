/**
 * `@frugaljs/backend-node`: fused updates and decompositions on tfjs's backend "tensorflow", which tfjs-node and
 * tfjs-node-gpu bring. Importing it registers them and is the whole opt-in; it loads neither of the two.
 */
import { registerKernels } from '@frugaljs/core';
import { registerDecompositions } from '@frugaljs/linalg';
import { tensorFlowDecompositions } from './decompositions.js';
import { BACKEND_NAME } from './load.js';
import { tensorFlowKernels } from './tensorflow-kernels.js';

registerKernels(BACKEND_NAME, tensorFlowKernels);
registerDecompositions(BACKEND_NAME, tensorFlowDecompositions);

export { TensorFlowUnavailableError } from './eager.js';
export { BACKEND_NAME, FOLDER_VARIABLE, type LoadedTensorFlow, loadTensorFlow } from './load.js';
