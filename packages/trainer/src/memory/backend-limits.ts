import { UnknownNameError } from '@frugaljs/core';

/** The tfjs backends whose limits are known. */
export type PlannedBackend = 'wasm' | 'cpu' | 'webgpu' | 'tensorflow';

/** What a backend can hold and how it updates parameters. */
export interface BackendLimits {
  /** All tensors together, in bytes; null where the machine is the limit. */
  readonly totalBytes: number | null;
  /** A single tensor, in bytes; null where the machine is the limit. */
  readonly tensorBytes: number | null;
  /** Whether the total is a budget rather than a limit of the backend. */
  readonly isBudget: boolean;
  /** What the limits are called in messages. */
  readonly total: string;
  readonly tensor: string;
  /**
   * How parameters are updated: by fused kernels `in-place`; `by-operations` of TensorFlow, each of which makes what it
   * computes; or by the `reference`, tfjs operations that also copy all gradients to look for NaN.
   */
  readonly updates: 'in-place' | 'by-operations' | 'reference';
}

const GIB = 2 ** 30;
const MIB = 2 ** 20;
const NONE: BackendLimits = {
  totalBytes: null,
  tensorBytes: null,
  total: 'memory',
  tensor: 'tensor',
  isBudget: false,
  updates: 'in-place',
};

/**
 * - wasm: one heap of at most 4 GiB, of which an eighth is set aside for gaps between tensors of different sizes (7 % were
 *   measured) and for what tfjs itself keeps there.
 * - webgpu: a tensor is one storage binding, of 128 MiB unless the adapter offers more (`maxStorageBufferBindingSize`).
 */
const LIMITS: Readonly<Record<PlannedBackend, BackendLimits>> = {
  wasm: {
    ...NONE,
    totalBytes: 3.5 * GIB,
    total: "wasm's heap of 4 GiB, less an eighth for gaps",
  },
  cpu: NONE,
  webgpu: { ...NONE, tensorBytes: 128 * MIB, tensor: "WebGPU's limit of a storage buffer binding" },
  tensorflow: { ...NONE, updates: 'by-operations' },
};

/** The names {@link backendLimits} knows. */
export const plannedBackends: readonly PlannedBackend[] = Object.keys(LIMITS) as PlannedBackend[];

/**
 * The limits of a backend.
 *
 * @param tensorBytes The largest tensor, where it is known: on webgpu the adapter's `maxStorageBufferBindingSize`.
 * @throws UnknownNameError for a backend whose limits are not known.
 */
export function backendLimits(name: string, tensorBytes?: number): BackendLimits {
  if (!Object.hasOwn(LIMITS, name)) {
    throw new UnknownNameError({ parameter: 'backend', found: name, expected: `one of ${plannedBackends.join(', ')}` });
  }
  const limits = LIMITS[name as PlannedBackend];
  return tensorBytes === undefined ? limits : { ...limits, tensorBytes };
}
