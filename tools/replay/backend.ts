import { env, getBackend, ready, setBackend } from '@tensorflow/tfjs-core';

const LOADERS = {
  cpu: () => Promise.all([import('@tensorflow/tfjs-backend-cpu'), import('@frugaljs/backend-wasm/cpu')]),
  wasm: () => import('@frugaljs/backend-wasm'),
  webgpu: () => import('@frugaljs/backend-webgpu/node'),
  tensorflow: async () => (await import('@frugaljs/backend-node')).loadTensorFlow(),
} as const;

/** The backends a replay can run on, each with the project's own kernels. */
export type BackendName = keyof typeof LOADERS;

export const BACKEND_NAMES: readonly BackendName[] = Object.keys(LOADERS) as BackendName[];

/** Those that every machine has. */
export const PORTABLE_BACKENDS: readonly BackendName[] = ['cpu', 'wasm'];

/** Why a backend cannot be had on this machine; `null` when it can. */
export async function whyMissing(name: BackendName): Promise<string | null> {
  try {
    await LOADERS[name]();
    return null;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

export async function startBackend(name: BackendName): Promise<void> {
  // Without this the cpu backend advertises tfjs-node on standard error.
  env().set('PROD', true);
  await LOADERS[name]();
  await setBackend(name);
  await ready();
  if (getBackend() !== name) throw new Error(`the backend ${name} did not start`);
}
