import type { ComposedOptimizer } from '@frugaljs/composer';
import { generate, type LlamaConfig, LlamaForCausalLM, type TokenBatch } from '@frugaljs/llama';
import { dispose, type NamedTensorMap, type Variable, variableGrads } from '@tensorflow/tfjs-core';
import type { Memory, OptimizerSettings, Requests, RunSettings } from '../protocol.js';
import { TOKENIZER } from '../text/corpus.js';
import { buildOptimizer } from './optimizers.js';
import { memoryOf } from './outline.js';

/** One of the compared: a model of its own, and the optimizer that trains it. */
export class Contender {
  readonly model: LlamaForCausalLM;
  readonly optimizer: ComposedOptimizer;
  /** Loss of every step. */
  readonly losses: number[] = [];
  readonly #config: LlamaConfig;
  readonly #variables: Variable[];

  /** Contenders of a run start from the same weights: those depend on the seed and on their own names only. */
  constructor(settings: OptimizerSettings, config: LlamaConfig, { steps, seed }: RunSettings) {
    this.#config = config;
    this.optimizer = buildOptimizer(settings, { steps, seed, layers: config.num_hidden_layers });
    this.model = new LlamaForCausalLM(config, { seed });
    this.#variables = Object.values(this.model.parameters());
  }

  get memory(): Memory {
    return memoryOf(this.optimizer, this.#config);
  }

  /**
   * One update.
   *
   * @returns The loss of the batch before it, in nats per token.
   * @throws NonFiniteGradientError if the run has diverged; nothing is changed then.
   */
  async step(batch: TokenBatch): Promise<number> {
    const { value, grads } = variableGrads(() => this.model.loss(batch), this.#variables) as {
      value: ReturnType<LlamaForCausalLM['loss']>;
      grads: NamedTensorMap;
    };
    try {
      this.optimizer.applyGradients(grads);
      // On a GPU these wait for the device: the only read-backs of a step.
      const loss = (await value.data<'float32'>())[0]!;
      await this.optimizer.settled();
      this.losses.push(loss);
      return loss;
    } finally {
      dispose(grads);
      value.dispose();
    }
  }

  /** A text by the model as it is now. The same step of the same run gives the same text. */
  async sample(
    { prompt, length, seed }: Requests['sample']['argument'],
    onText: (text: string) => void,
  ): Promise<string> {
    const start = TOKENIZER.separator!;
    const added: number[] = [];
    await generate(this.model, [start, ...Array.from(TOKENIZER.encode(prompt))], {
      maxNewTokens: length,
      temperature: 0.7,
      topK: 40,
      seed,
      stopToken: start,
      onToken: token => {
        added.push(token);
        onText(prompt + TOKENIZER.decode(added));
      },
    });
    return prompt + TOKENIZER.decode(added);
  }
}
