import type { BackendChoice, BackendName, Capabilities } from '../protocol.js';

/**
 * The backend for a choice; `auto` is WebGPU where a graphics processor does the work, else WebAssembly.
 *
 * @throws Error saying what is missing and what to choose instead.
 */
export function chooseBackend(choice: BackendChoice, { webgpu, wasm }: Capabilities): BackendName {
  const usesGpu = choice === 'webgpu' || (choice === 'auto' && webgpu.available && !webgpu.software);
  if (usesGpu && !webgpu.available) {
    throw new Error(`WebGPU cannot be used: ${webgpu.description}. Choose WebAssembly instead.`);
  }
  if (usesGpu) return 'webgpu';
  if (!wasm) {
    throw new Error('This browser has no WebAssembly SIMD. Chrome 91, Firefox 89, Safari 16.4 and newer have it.');
  }
  return 'wasm';
}

/** What the choice comes to, in a sentence for the page. */
export function describeBackend(choice: BackendChoice, capabilities: Capabilities): string {
  const { webgpu } = capabilities;
  try {
    const name = chooseBackend(choice, capabilities);
    if (name === 'webgpu') {
      const note = webgpu.software ? ' It is emulated on the processor: expect it to be slower than WebAssembly.' : '';
      return `Will train on WebGPU (${webgpu.description}).${note}`;
    }
    if (choice === 'wasm') return 'Will train on WebAssembly.';
    const reason = webgpu.available ? `${webgpu.description} only emulates it on the processor` : webgpu.description;
    return `WebGPU is not used: ${reason}. Will train on WebAssembly instead.`;
  } catch (error) {
    return (error as Error).message;
  }
}
