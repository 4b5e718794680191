import { add, mul, sigmoid, sub, type Tensor, type Tensor2D } from '@tensorflow/tfjs-core';
import { differentiable } from './differentiable.js';

/**
 * The gated unit of LLaMA's MLP (Shazeer 2020): `y = silu(gate) ⊙ up`, `silu(g) = g · σ(g)`.
 *
 * `dup = dy ⊙ silu(g)`, `dgate = dy ⊙ up ⊙ (σ + silu(g) · (1 - σ))`. σ is computed again in the backward pass rather
 * than kept.
 */
export function swiglu(gate: Tensor2D, up: Tensor2D): Tensor2D {
  return differentiable<Tensor2D>([gate, up], save => {
    const value = mul(mul(gate, sigmoid(gate)), up) as Tensor2D;
    save([gate, up]);
    return { value, gradient: swigluGradient };
  });
}

function swigluGradient(dy: Tensor2D, saved: Tensor[]): Tensor[] {
  const [gate, up] = saved as [Tensor, Tensor];
  const gateSigmoid = sigmoid(gate);
  const silu = mul(gate, gateSigmoid);
  const slope = add(gateSigmoid, sub(silu, mul(silu, gateSigmoid)));
  return [mul(mul(dy, up), slope), mul(dy, silu)];
}
