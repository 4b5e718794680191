import { type Operand, select, type Tracer } from '@frugaljs/core';
import { greater, scalar, type Tensor, where } from '@tensorflow/tfjs-core';

/** The verdict on an update, which the device has and the host does not know yet. */
export interface PendingVerdict {
  /** One number, on the device: 1 when the update is to happen, 0 when all must stay as it is. */
  readonly proceed: Tensor;
  /** Counts the updates that were judged, from 1. */
  readonly ordinal: number;
  /** The last update whose verdict the host knows. */
  readonly known: number;
}

/** Name of the input, one number for all, that tells a fused update whether to happen: 1 or 0. */
export const PROCEED = 'proceed';

/** Name of the factor that clips the norm: a per-step number, or an input of one number. */
export const FACTOR = 'factor';

/** `next` where the update happens, else `current`, entry by entry and also when `next` is NaN. */
export function gated(proceed: Tensor, next: Tensor, current: Tensor | number): Tensor {
  return where(greater(proceed, 0), next, typeof current === 'number' ? scalar(current) : current);
}

/** The values of a graph, each replaced by the input of its name when the update is not to happen. */
export function gatedOutputs(
  tracer: Tracer,
  outputs: Readonly<Record<string, Operand>>,
  currentOf: (name: string) => Operand,
): Record<string, Operand> {
  const proceed = tracer.input(PROCEED, 'tensor');
  const results: Record<string, Operand> = {};
  for (const [name, next] of Object.entries(outputs)) {
    results[name] = select(proceed, next, currentOf(name));
  }
  return results;
}
