import '@tensorflow/tfjs-backend-cpu';
import '@tensorflow/tfjs-backend-wasm';

/** The backends that need no driver. */
export const BACKENDS: readonly string[] = ['cpu', 'wasm'];
