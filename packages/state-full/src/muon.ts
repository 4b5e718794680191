import {
  requireBoolean,
  requireInteger,
  requireKnownKeys,
  requireNumber,
  requireOneOf,
  type TensorRule,
  tensorRule,
  UnsupportedShapeError,
} from '@frugaljs/core';
import { add, div, matMul, mul, sqrt, square, sum, type Tensor2D, tidy, transpose } from '@tensorflow/tfjs-core';

export interface MuonOptions {
  /** μ, in [0, 1). Default 0.95. */
  readonly momentum?: number;
  /** Look one step ahead. Default true. */
  readonly nesterov?: boolean;
  /** Newton–Schulz steps, at least 1. Default 5. */
  readonly steps?: number;
  /**
   * Which axis of a matrix is the layer's output, for the factor √max(1, outputs / inputs). Default `rows`, for
   * matrices (out, in); `columns` for the (in, out) kernels of tf.layers.
   */
  readonly outputs?: 'rows' | 'columns';
}

/**
 * Muon: momentum whose singular values are moved close to 1.
 *
 *     m ← μ m + (1 - μ) g,   x = (1 - μ) g + μ m  (without Nesterov x = m),
 *     d = √max(1, outputs / inputs) · newtonSchulz(x)
 *
 * Matrices only, and meant for hidden layers: give embeddings, heads, norms and biases another rule. State: `m` per
 * element, 4 bytes per element. The spectral norm of d is at most 1.21 √max(1, outputs / inputs). The usual learning
 * rate is 0.02.
 *
 * A tensor rule: it needs matrix products, runs as tfjs operations on every backend and is not fused.
 *
 * @throws InvalidOptionError for an unknown option or a value outside its interval; UnsupportedShapeError from
 *   `state(shape)` unless the rank is 2.
 * @see Jordan et al., Muon: An optimizer for hidden layers in neural networks, 2024 (kellerjordan.github.io/posts/muon).
 */
export function muon(options: MuonOptions = {}): TensorRule<'m'> {
  requireKnownKeys('muon', options, ['momentum', 'nesterov', 'steps', 'outputs']);
  const { momentum = 0.95, nesterov = true, steps = 5, outputs = 'rows' } = options;
  requireNumber('muon.momentum', momentum, '[0, 1)');
  requireBoolean('muon.nesterov', nesterov);
  requireInteger('muon.steps', steps, 1);
  requireOneOf('muon.outputs', outputs, ['rows', 'columns']);
  return tensorRule({
    kind: 'muon',
    options: { momentum, nesterov, steps, outputs },
    state: shape => {
      if (shape.length !== 2) {
        throw new UnsupportedShapeError({
          parameter: 'muon',
          found: shape,
          expected: 'a matrix',
          advice: 'Give vectors and tensors of higher rank a group with another rule, such as adamW().',
        });
      }
      return { m: { extent: 'element' } };
    },
    step: ({ g, m }, _scalars, shape) => {
      const next = add(mul(m, momentum), mul(g, 1 - momentum));
      const ahead = nesterov ? add(mul(next, momentum), mul(g, 1 - momentum)) : next;
      const [rows, columns] = shape as [number, number];
      const ratio = outputs === 'rows' ? rows / columns : columns / rows;
      return { direction: mul(newtonSchulz(ahead as Tensor2D, steps), Math.sqrt(Math.max(1, ratio))), m: next };
    },
  });
}

/** Coefficients of s ↦ 3.4445 s - 4.7750 s³ + 2.0315 s⁵, chosen for their slope at 0 rather than for a limit. */
const COEFFICIENTS = [3.4445, -4.775, 2.0315] as const;

/**
 * Moves the singular values of a matrix close to 1 and leaves its singular vectors as they are:
 *
 *     X = x / (‖x‖_F + 1e-7),   then `steps` times   A = X Xᵀ,  X ← 3.4445 X + (-4.7750 A + 2.0315 A²) X
 *
 * computed on the transpose when there are more rows than columns. After 5 steps a singular value s of X ends in
 * [0.68, 1.14] for s in [0.01, 1]; it is not the exact polar factor, and zero stays zero.
 *
 * @returns A new tensor of the same shape, owned by the caller.
 * @see Jordan et al., Muon, 2024 (kellerjordan.github.io/posts/muon).
 */
export function newtonSchulz(x: Tensor2D, steps: number): Tensor2D {
  const [a, b, c] = COEFFICIENTS;
  const tall = x.shape[0] > x.shape[1];
  return tidy(() => {
    const norm = add(sqrt(sum(square(x))), 1e-7);
    let result: Tensor2D = div(tall ? transpose(x) : x, norm);
    for (let i = 0; i < steps; i++) {
      // An explicit transpose: matMul's own flag is several times slower on the wasm backend.
      const gram: Tensor2D = matMul(result, transpose(result));
      const polynomial: Tensor2D = add(mul(gram, b), mul(matMul(gram, gram), c));
      result = add(mul(result, a), matMul(polynomial, result));
    }
    return tall ? transpose(result) : result;
  });
}
