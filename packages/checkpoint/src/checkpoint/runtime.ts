import { kernelsFor } from '@frugaljs/core';
import { getBackend } from '@tensorflow/tfjs-core';
import type { Runtime } from './manifest.js';

/** What would run the training now. */
export function currentRuntime(): Runtime {
  const backend = getBackend();
  return { backend, kernels: kernelsFor(backend)?.description ?? 'reference' };
}

/** A sentence for a checkpoint from another runtime; null where bits repeat. */
export function runtimeWarning(name: string, saved: Runtime): string | null {
  const now = currentRuntime();
  if (now.backend === saved.backend && now.kernels === saved.kernels) return null;
  return (
    `${name} was saved on ${sentence(saved)} and goes on on ${sentence(now)}: ` +
    'the run continues, but rounds differently and will not repeat the uninterrupted one bit for bit.'
  );
}

function sentence({ backend, kernels }: Runtime): string {
  return `${backend} (kernels: ${kernels})`;
}
