import type { Tensor } from '@tensorflow/tfjs-core';
import { FACTOR, PROCEED } from '../runtime/gate.js';
import type { UpdateNumbers } from './update-numbers.js';

/** The numbers of an update that are on the device, by the name of the input that takes them. */
export function sharedTensors({ factor, verdict }: UpdateNumbers): Record<string, Tensor> {
  return {
    ...(typeof factor === 'number' ? {} : { [FACTOR]: factor }),
    ...(verdict === null ? {} : { [PROCEED]: verdict.proceed }),
  };
}
