import { InvalidOptionError, UnknownNameError } from '@frugaljs/core';
import { env, getBackend, ready, setBackend } from '@tensorflow/tfjs-core';

/** The tfjs backends that training can run on. */
export type BackendName = 'wasm' | 'cpu' | 'webgpu' | 'tensorflow';

const LOADERS: Readonly<Record<BackendName, () => Promise<unknown>>> = {
  wasm: () => import('@frugaljs/backend-wasm'),
  // The backend itself, and fused optimizer kernels for it.
  cpu: () => Promise.all([import('@tensorflow/tfjs-backend-cpu'), import('@frugaljs/backend-wasm/cpu')]),
  webgpu: () => import('@frugaljs/backend-webgpu/node'),
  tensorflow: async () => (await import('@frugaljs/backend-node')).loadTensorFlow(),
};

/** The names {@link selectBackend} knows, the default first. */
export const backendNames: readonly BackendName[] = Object.keys(LOADERS) as BackendName[];

/**
 * Loads a tfjs backend, makes it the current one and registers tfjs's gradients, which tfjs-core alone does not have.
 *
 * @throws UnknownNameError for a name that is no backend, InvalidOptionError for one that cannot be had here, and what
 *   the package of a backend throws when it finds no adapter or no TensorFlow.
 */
export async function selectBackend(name: string): Promise<void> {
  if (!Object.hasOwn(LOADERS, name)) {
    throw new UnknownNameError({ parameter: 'backend', found: name, expected: `one of ${backendNames.join(', ')}` });
  }
  // Without this the cpu backend advertises tfjs-node on standard error.
  env().set('PROD', true);
  await Promise.all([LOADERS[name as BackendName](), registerGradients()]);
  const started = await setBackend(name);
  await ready();
  if (!started || getBackend() !== name) {
    throw new InvalidOptionError({
      parameter: 'backend',
      found: `${name}, which did not start`,
      expected: 'a backend that this machine can run',
      advice: `Try another one of ${backendNames.join(', ')}.`,
    });
  }
}

/** The layers package registers the gradients of all kernels as it loads; loading it again does nothing. */
export async function registerGradients(): Promise<void> {
  await import('@tensorflow/tfjs-layers');
}
