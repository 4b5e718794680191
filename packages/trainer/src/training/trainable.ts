import type { NamedTensorMap, Scalar, Variable } from '@tensorflow/tfjs-core';

/** A model as training sees it; `LlamaForCausalLM` is one. */
export interface TrainableModel<Batch> {
  /** The variables to train. */
  parameters(): Readonly<Record<string, Variable>>;
  /** Mean loss of a batch. */
  loss(batch: Batch): Scalar;
}

/** Batches as training sees them; `TokenDataset` makes them. */
export interface TrainingData<Batch> {
  /** The `index`-th training batch, counted from 0: a pure function, so that a resumed run continues where it was. */
  trainBatch(index: number): Batch;
  /** The same batches at every call. */
  validationBatches(count?: number): readonly Batch[];
}

/** What makes the updates: any `tf.Optimizer`, among them those of `compose` and the recipes. */
export interface GradientConsumer {
  applyGradients(gradients: NamedTensorMap): void;
}
