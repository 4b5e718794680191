import { customGrad, type GradSaveFunc, type Tensor, tidy } from '@tensorflow/tfjs-core';

/** The value of an op and, for a gradient `dy` of its value, the gradients of its inputs, in their order. */
export interface Differentiable<O extends Tensor> {
  readonly value: O;
  readonly gradient: (dy: O, saved: Tensor[]) => Tensor[];
}

/**
 * Runs `forward` as one op of the tape. What `forward` makes is freed when it returns, except its value and what it
 * hands to `save`; composed ops would keep every intermediate until the whole backward pass is over.
 *
 * @param inputs The tensors to differentiate by; whatever else `forward` uses counts as a constant.
 */
export function differentiable<O extends Tensor>(
  inputs: readonly Tensor[],
  forward: (save: GradSaveFunc) => Differentiable<O>,
): O {
  const op = customGrad<O>((...args) => {
    const { value, gradient } = forward(args[args.length - 1] as GradSaveFunc);
    // The engine does not tidy gradient functions: what they leave behind would stay until the last gradient is done.
    return { value, gradFunc: (dy: O, saved: Tensor[]) => tidy(() => gradient(dy, saved)) };
  });
  return op(...inputs);
}
