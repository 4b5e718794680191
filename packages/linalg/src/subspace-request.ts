import type { Tensor2D } from '@tensorflow/tfjs-core';

/** What every algorithm for a leading subspace is asked: already validated, defaults filled in. */
export interface SubspaceRequest {
  readonly rank: number;
  readonly iterations: number;
  readonly align: boolean;
  /** Also return the vectors of the other side and the singular values; implies `align`. */
  readonly triplets: boolean;
}

/** `near`: columns on the wanted side. `far`, `values`: null unless triplets were asked for; values are rank x 1. */
export interface SubspaceResult {
  readonly near: Tensor2D;
  readonly far: Tensor2D | null;
  readonly values: Tensor2D | null;
}
