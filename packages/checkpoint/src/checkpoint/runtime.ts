import { type Json, kernelsFor } from '@frugaljs/core';
import { getBackend } from '@tensorflow/tfjs-core';
import type { Runtime } from './manifest.js';

/** What runs the training now, for an optimizer of this composition. */
export function currentRuntime(composition: Json | undefined): Runtime {
  const backend = getBackend();
  const isReference = (composition as { readonly kernels?: Json } | undefined)?.kernels === 'reference';
  const kernels = isReference ? null : kernelsFor(backend);
  return { backend, kernels: kernels?.description ?? 'reference' };
}

/** A sentence for a checkpoint from another runtime; null where bits repeat. */
export function runtimeWarning(name: string, saved: Runtime, now: Runtime): string | null {
  if (now.backend === saved.backend && now.kernels === saved.kernels) return null;
  return (
    `${name} was saved on ${sentence(saved)} and goes on on ${sentence(now)}: ` +
    'the run continues, but rounds differently and will not repeat the uninterrupted one bit for bit.'
  );
}

function sentence({ backend, kernels }: Runtime): string {
  return `${backend} (kernels: ${kernels})`;
}
