import type { RowKernels } from './row-kernels.js';
import { createScriptKernels } from './row-kernels.js';
import { createWasmKernels } from './row-kernels-wasm.js';

let shared: RowKernels | undefined;

/**
 * The kernels with their one workspace, created on first use. It grows to the largest problem seen (about 24 r^2 bytes
 * for an r x r eigenproblem) and is reused, so refreshing many bases allocates nothing after the first.
 */
export function hostKernels(): RowKernels {
  shared ??= createWasmKernels() ?? createScriptKernels();
  return shared;
}
