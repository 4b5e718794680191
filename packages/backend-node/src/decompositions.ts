import { perBackend } from '@frugaljs/core';
import type { NativeDecompositions, SingularFactors } from '@frugaljs/linalg';
import type { Tensor1D, Tensor2D } from '@tensorflow/tfjs-core';
import { Eager, nodeBackend } from './eager.js';

/** TensorFlow's Svd and Qr, which run where its tensors are: LAPACK-like code on CPU, cuSOLVER on CUDA. */
class TensorFlowDecompositions implements NativeDecompositions {
  constructor(private readonly eager: Eager) {}

  svd(g: Tensor2D): SingularFactors {
    const { eager } = this;
    const reduced = [eager.boolean('compute_uv', true), eager.boolean('full_matrices', false)];
    const [values, left, right] = eager.runMany('Svd', [eager.stored(g).id], reduced, 3);
    return {
      left: eager.tensor(left!.id, left!.shape) as Tensor2D,
      values: eager.tensor(values!.id, values!.shape) as Tensor1D,
      right: eager.tensor(right!.id, right!.shape) as Tensor2D,
    };
  }

  orthonormalize(x: Tensor2D): Tensor2D {
    const { eager } = this;
    const [q, r] = eager.runMany('Qr', [eager.stored(x).id], [eager.boolean('full_matrices', false)], 2);
    const diagonal = eager.run('MatrixDiagPart', [r!.id]);
    const isNegative = eager.run('Less', [diagonal.id, eager.scalar(0)]);
    // Columns whose entry of R is negative change sign.
    const signs = eager.run('SelectV2', [isNegative.id, eager.scalar(-1), eager.scalar(1)]);
    const result = eager.run('Mul', [q!.id, signs.id]);
    for (const { id } of [q!, r!, diagonal, isNegative, signs]) eager.delete(id);
    return eager.tensor(result.id, result.shape) as Tensor2D;
  }
}

/** The decompositions of the current backend, which must be that of tfjs-node or tfjs-node-gpu. */
export const tensorFlowDecompositions: () => NativeDecompositions = perBackend(
  backend => new TensorFlowDecompositions(new Eager(nodeBackend(backend))),
);
