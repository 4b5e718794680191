import type { Contestant } from '../round-robin.js';

/** One method on one backend. */
export interface Contender extends Contestant {
  readonly backend: string;
  readonly method: string;
  /** Parameters that a step updates. */
  readonly params: number;
  /** Bytes that a step reads and writes at the least; null where products of matrices and not memory set the pace. */
  bytes(): number | null;
  /** What runs the step. */
  kernels(): string;
  /** Peak of the temporaries of a step; null when that cannot be known. */
  peakBytes(): number | null;
  dispose(): void;
}
