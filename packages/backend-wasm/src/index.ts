/**
 * `@frugaljs/backend-wasm`: what training needs on the TensorFlow.js WASM backend. Importing it registers its kernels.
 */
import { registerTrainingKernels } from './register.js';

registerTrainingKernels();

export { UnsupportedBackendError } from './errors.js';
export { type DataId, TensorHeap, tensorHeap } from './heap.js';
export { registerTrainingKernels, restoreTfjsKernels, trainingKernelNames } from './register.js';
