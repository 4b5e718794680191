import { compose } from '@frugaljs/composer';
import { type LlamaConfig, LlamaForCausalLM, parameterCount, type Tokens } from '@frugaljs/llama';
import { adamW } from '@frugaljs/state-full';
import { dispose, type Optimizer, train, variableGrads } from '@tensorflow/tfjs-core';
import { peakBytes } from '../peak-bytes.js';
import type { Contestant } from '../round-robin.js';
import { COMPOSITIONS, type CompositionName } from '../step/compositions.js';

/** `gradients` stops before the update: what every method shares. */
export type TrainingMethod = 'gradients' | 'tf.train.sgd' | 'tf.train.adam' | CompositionName;

export const TRAINING_METHODS: readonly TrainingMethod[] = [
  'gradients',
  'tf.train.sgd',
  'tf.train.adam',
  ...(Object.keys(COMPOSITIONS) as CompositionName[]),
];

const RATE = 1e-3;

/** Whole training steps of a model of its own: loss, gradients, update. */
export class TrainingContender implements Contestant {
  readonly params: number;
  private readonly model: LlamaForCausalLM;
  private readonly optimizer: Optimizer | null;

  constructor(
    readonly backend: string,
    readonly method: TrainingMethod,
    config: LlamaConfig,
    private readonly tokens: Tokens,
    private readonly timer: (work: () => void) => number | Promise<number>,
  ) {
    this.params = parameterCount(config).total;
    this.model = new LlamaForCausalLM(config, { namePrefix: `${method}/` });
    this.optimizer = optimizerOf(method);
  }

  time(): number | Promise<number> {
    return this.timer(() => this.step());
  }

  /** Most memory that a step takes on top of weights and state. */
  peakBytes(): number {
    return peakBytes(() => this.step());
  }

  dispose(): void {
    this.optimizer?.dispose();
    this.model.dispose();
  }

  private step(): void {
    const { value, grads } = variableGrads(() => this.model.loss(this.tokens));
    this.optimizer?.applyGradients(grads);
    dispose([value, grads]);
  }
}

function optimizerOf(method: TrainingMethod): Optimizer | null {
  switch (method) {
    case 'gradients':
      return null;
    case 'tf.train.sgd':
      return train.sgd(RATE);
    case 'tf.train.adam':
      return train.adam(RATE);
    default:
      // Vectors, the scales of the norms, stay state-full, as recipes keep them.
      return compose({
        learningRate: RATE,
        groups: [{ match: { maxRank: 1 }, use: adamW() }, { use: COMPOSITIONS[method]() }],
      });
  }
}
