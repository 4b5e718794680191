import { pause } from './pause.js';
import type { TrainableModel } from './trainable.js';

/**
 * Mean loss over batches of one size, in nats per token: the validation loss. Its exponential is the perplexity.
 *
 * @param signal Aborts between two batches.
 * @returns null if it was aborted.
 */
export async function evaluate<Batch>(
  model: Pick<TrainableModel<Batch>, 'loss'>,
  batches: readonly Batch[],
  signal?: AbortSignal,
): Promise<number | null> {
  let sum = 0;
  for (const batch of batches) {
    await pause();
    if (signal?.aborted) return null;
    const loss = model.loss(batch);
    sum += (await loss.data<'float32'>())[0]!;
    loss.dispose();
  }
  return sum / batches.length;
}
