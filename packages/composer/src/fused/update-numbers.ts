import type { Tensor } from '@tensorflow/tfjs-core';
import type { PendingVerdict } from '../runtime/gate.js';

/** The numbers of one update. */
export interface UpdateNumbers {
  readonly rate: number;
  /** 1 - ηλ. */
  readonly keep: number;
  /** What the gradient is multiplied by to clip the global norm: a number, or one on the device. */
  readonly factor: number | Tensor;
  /** What will have become of the update; null when it happens. */
  readonly verdict: PendingVerdict | null;
}
