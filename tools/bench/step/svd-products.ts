import { soleSite } from '@frugaljs/core';
import { svd } from '@frugaljs/projectors';
import { dispose, matMul, mul, type Tensor2D, tidy, transpose } from '@tensorflow/tfjs-core';
import { peakBytes } from '../peak-bytes.js';
import type { Contender } from './contender.js';
import type { Workload } from './workload.js';

/**
 * The matrix products of a step with the projector svd and nothing else: the gradient down to the subspace, then the
 * projection and the direction up again. Of a square matrix the columns are projected.
 */
export function svdProducts(
  backend: string,
  workload: Workload,
  timer: (work: () => void) => number | Promise<number>,
): Contender {
  const { size, gradients } = workload;
  const projector = svd({ density: 0.25 });
  const site = soleSite('products', [size, size]);
  const parts = tidy(() => {
    const right = projector.fit(gradients[0]!, null, { site, refreshIndex: 0 }).right as Tensor2D;
    // Every parameter has tensors of its own, as in training.
    return gradients.map(g => {
      const basis = mul<Tensor2D>(right, 1);
      return { g, basis, transposed: transpose(basis) as Tensor2D, direction: matMul<Tensor2D>(g, basis) };
    });
  });
  const products = (): void => {
    for (const { g, basis, transposed, direction } of parts) {
      tidy(() => {
        const low = matMul<Tensor2D>(g, basis);
        matMul(low, transposed);
        matMul(direction, transposed);
      });
    }
  };
  return {
    backend,
    method: 'svd-products',
    params: workload.params,
    time: () => timer(products),
    bytes: () => null,
    kernels: () => 'matMul alone',
    peakBytes: () => peakBytes(products),
    dispose: () => dispose(parts.map(({ basis, transposed, direction }) => [basis, transposed, direction])),
  };
}
