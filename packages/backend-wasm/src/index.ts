/**
 * `@frugaljs/backend-wasm`: what training needs on the TensorFlow.js WASM backend. Importing it registers its kernels.
 */
import { registerKernels } from '@frugaljs/core';
import { heapKernels } from './fused/heap-kernels.js';
import { registerTrainingKernels } from './register.js';

registerTrainingKernels();
registerKernels('wasm', heapKernels);

export { OutOfMemoryError, UnsupportedBackendError } from '@frugaljs/core/errors';
export { type DataId, TensorHeap, tensorHeap } from './heap.js';
export { guardWasmHeap } from './heap-guard.js';
export { registerTrainingKernels, restoreTfjsKernels, trainingKernelNames } from './register.js';
