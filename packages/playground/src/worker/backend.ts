import simdBinary from '@tensorflow/tfjs-backend-wasm/dist/tfjs-backend-wasm-simd.wasm?url';
import { backend, env, getBackend, ready, setBackend } from '@tensorflow/tfjs-core';
import type { BackendName, Capabilities } from '../protocol.js';

import '@tensorflow/tfjs-core/dist/register_all_gradients.js';

/** Importing the package is all that a backend needs. */
const LOADERS: Readonly<Record<BackendName, () => Promise<unknown>>> = {
  webgpu: () => import('@frugaljs/backend-webgpu'),
  wasm: loadWasm,
};

/** The smallest module with a SIMD instruction: `i8x16.splat` of 0, dropped. */
const SIMD_PROBE = new Uint8Array([
  0, 97, 115, 109, 1, 0, 0, 0, 1, 4, 1, 96, 0, 0, 3, 2, 1, 0, 10, 9, 1, 7, 0, 65, 0, 253, 15, 26, 11,
]);

interface Device extends EventTarget {
  readonly lost: Promise<{ readonly reason: string; readonly message: string }>;
}

const ADVICE = 'Start again, or choose a smaller model, batch or context, or WebAssembly.';

interface AdapterLike {
  readonly info?: { readonly vendor?: string; readonly architecture?: string; readonly isFallbackAdapter?: boolean };
  readonly isFallbackAdapter?: boolean;
}

/** What this browser offers, found out without starting anything. */
export async function capabilities(): Promise<Capabilities> {
  return { webgpu: await probeWebgpu(), wasm: typeof WebAssembly === 'object' && WebAssembly.validate(SIMD_PROBE) };
}

async function probeWebgpu(): Promise<Capabilities['webgpu']> {
  const { gpu } = navigator as { gpu?: { requestAdapter(): Promise<AdapterLike | null> } };
  const missing = (description: string): Capabilities['webgpu'] => ({ available: false, software: false, description });
  if (gpu === undefined) {
    const reason = globalThis.isSecureContext ? 'this browser does not have it' : 'it needs an https: address';
    return missing(reason);
  }
  try {
    const adapter = await gpu.requestAdapter();
    if (adapter === null) return missing('the browser found no graphics adapter that it trusts');
    const { vendor = '', architecture = '', isFallbackAdapter } = adapter.info ?? {};
    const software = (isFallbackAdapter ?? adapter.isFallbackAdapter ?? false) || architecture === 'swiftshader';
    const description = [vendor, architecture].filter(part => part !== '').join(' ') || 'adapter without a name';
    return { available: true, software, description };
  } catch (error) {
    return missing(error instanceof Error ? error.message : String(error));
  }
}

/**
 * Makes a backend of tfjs the current one.
 *
 * @param onLoss Called with a sentence if the graphics device goes away or can do no more: what waits for it may wait
 *   forever.
 * @throws Error if it does not start here.
 */
export async function startBackend(name: BackendName, onLoss: (message: string) => void): Promise<void> {
  env().set('PROD', true);
  await LOADERS[name]();
  const started = await setBackend(name);
  await ready();
  if (!started || getBackend() !== name) {
    throw new Error(`The backend ${name} did not start. Choose another one and start again.`);
  }
  const { device } = backend() as { device?: Device };
  if (device === undefined) return;
  // Refused operations, most often for want of memory, leave results that mean nothing.
  device.addEventListener('uncapturederror', event => {
    event.preventDefault();
    const { message } = (event as Event & { readonly error: Error }).error;
    onLoss(`The graphics device refused an operation (${message.split('\n')[0]}). ${ADVICE}`);
  });
  void device.lost.then(({ reason, message }) => {
    const why = message || reason;
    onLoss(`The graphics device was lost${why === '' ? '' : ` (${why})`}. ${ADVICE}`);
  });
}

async function loadWasm(): Promise<void> {
  const { setWasmPaths } = await import('@tensorflow/tfjs-backend-wasm');
  // tfjs starts its threads from a blob: address, which the content-security policy refuses.
  env().set('WASM_HAS_MULTITHREAD_SUPPORT', false);
  // All three names must be there; the other two are for threads and for engines without SIMD, which are not used here.
  setWasmPaths({
    'tfjs-backend-wasm-simd.wasm': simdBinary,
    'tfjs-backend-wasm.wasm': simdBinary,
    'tfjs-backend-wasm-threaded-simd.wasm': simdBinary,
  });
  await import('@frugaljs/backend-wasm');
}
