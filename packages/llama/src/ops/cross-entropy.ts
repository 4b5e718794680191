import {
  add,
  concat,
  dispose,
  div,
  engine,
  exp,
  gather,
  log,
  matMul,
  max,
  mul,
  reshape,
  type Scalar,
  scatterND,
  slice,
  sub,
  sum,
  type Tensor,
  type Tensor1D,
  type Tensor2D,
  tidy,
} from '@tensorflow/tfjs-core';
import { differentiable } from './differentiable.js';

/** Default of {@link linearCrossEntropy}'s `maxLogits`: 16 MiB of float32, of which a chunk makes four copies. */
export const MAX_LOGITS: number = 2 ** 22;

/**
 * Mean cross-entropy of the output layer: `mean_i (log Σ_v exp(h_i·w_v) - h_i·w_{target_i})`, in nats per token.
 *
 * Layer and loss are one op because the logits are by far the largest tensor of a small model with a large vocabulary.
 * They are made a chunk of rows at a time and, when a gradient is being taken, turned at once into
 *
 *     dh_i = (Σ_v p_iv w_v - w_{target_i}) / rows        dw_v = Σ_i (p_iv - [v = target_i]) h_i / rows
 *
 * The `[v = target]` parts are a gather and a scatter of narrow rows: there is no one-hot matrix. What is kept for the
 * backward pass is these two gradients; the logits of a chunk are gone when the next one starts.
 *
 * @param hidden `[rows, width]`
 * @param weight `[vocabulary, width]`
 * @param targets `[rows]`, int32, each below `vocabulary`
 * @param maxLogits Most logits in memory at once; a chunk has at least one row.
 */
export function linearCrossEntropy(
  hidden: Tensor2D,
  weight: Tensor2D,
  targets: Tensor1D,
  maxLogits: number = MAX_LOGITS,
): Scalar {
  const rows = hidden.shape[0];
  const chunkRows = Math.max(1, Math.min(rows, Math.floor(maxLogits / weight.shape[0])));
  return differentiable<Scalar>([hidden, weight], save => {
    const withGradient = engine().state.gradientDepth > 0;
    const dHidden: Tensor2D[] = [];
    let sums: Tensor[] = [];
    for (let first = 0; first < rows; first += chunkRows) {
      const previous = sums;
      const [dHiddenChunk, ...next] = tidy(() => {
        const count = Math.min(chunkRows, rows - first);
        const h = count === rows ? hidden : slice(hidden, [first, 0], [count, -1]);
        const t = count === rows ? targets : slice(targets, [first], [count]);
        const [loss, dh, dWeight] = chunk(h, weight, t, rows, withGradient);
        const terms = dWeight === undefined ? [loss!] : [loss!, dWeight];
        return [dh ?? loss!, ...terms.map((term, i) => (previous.length === 0 ? term : add(previous[i]!, term)))];
      });
      if (withGradient) dHidden.push(dHiddenChunk as Tensor2D);
      dispose(previous);
      sums = next;
    }
    const [loss, dWeight] = sums;
    if (withGradient) save([dHidden.length === 1 ? dHidden[0]! : concat(dHidden, 0), dWeight!]);
    return { value: loss as Scalar, gradient: (dy, saved) => saved.map(gradient => mul(gradient, dy)) };
  });
}

/** This chunk's share of the mean loss and, if asked for, of the gradients by `h` and by `weight`. */
function chunk(h: Tensor2D, weight: Tensor2D, targets: Tensor1D, rows: number, withGradient: boolean): Tensor[] {
  const logits = matMul(h, weight, false, true);
  const largest = max(logits, -1, true);
  const exponentials = exp(sub(logits, largest));
  const normalizer = sum(exponentials, -1, true);
  const targetRows = gather(weight, targets);
  const targetLogits = sum(mul(h, targetRows), -1, true);
  const share = 1 / rows;
  const loss = mul(sum(sub(add(log(normalizer), largest), targetLogits)), share);
  if (!withGradient) return [loss];

  const probabilities = div(exponentials, mul(normalizer, rows)) as Tensor2D;
  const dh = sub(matMul(probabilities, weight), mul(targetRows, share));
  const counted = scatterND(reshape(targets, [-1, 1]), mul(h, share), weight.shape);
  return [loss, dh, sub(matMul(probabilities, h, true, false), counted)];
}
