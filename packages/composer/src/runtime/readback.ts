import { backendTraits } from '@frugaljs/core';

/** Whether a number can be read back at once on the current backend. */
export function readsBackAtOnce(): boolean {
  return backendTraits().readsAtOnce;
}
