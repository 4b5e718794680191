import { engine, type KernelBackend } from '@tensorflow/tfjs-core';

/**
 * Makes something once for each backend that becomes current, such as its kernel set, and forgets it with the backend.
 * What tfjs starts anew after `removeBackend` is another backend.
 *
 * @param create Makes it for the backend that is current when the returned function is called.
 */
export function perBackend<T extends object>(create: (backend: KernelBackend) => T): () => T {
  const made = new WeakMap<KernelBackend, T>();
  return () => {
    const { backend } = engine();
    let found = made.get(backend);
    if (found === undefined) {
      found = create(backend);
      made.set(backend, found);
    }
    return found;
  };
}
