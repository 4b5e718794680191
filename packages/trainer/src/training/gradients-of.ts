import {
  engine,
  type NamedTensorMap,
  type Scalar,
  type Tensor,
  type Variable,
  variableGrads,
} from '@tensorflow/tfjs-core';
import type { TrainableModel } from './trainable.js';

/** What tfjs notes down in a forward pass, as far as it concerns us. */
interface Tape {
  activeTape: { readonly saved?: readonly Tensor[] }[] | null;
}

/**
 * The loss of a batch and its gradients. If that fails midway, for want of memory say, what the forward pass kept for the
 * backward pass is freed: tfjs does so only at the end of a backward pass.
 */
export function gradientsOf<Batch>(
  model: TrainableModel<Batch>,
  batch: Batch,
  variables: Variable[],
): { readonly value: Scalar; readonly grads: NamedTensorMap } {
  try {
    return variableGrads(() => model.loss(batch), variables);
  } catch (error) {
    const state = engine().state as unknown as Tape;
    for (const { saved = [] } of state.activeTape ?? []) for (const tensor of saved) tensor.dispose();
    state.activeTape = null;
    throw error;
  }
}
