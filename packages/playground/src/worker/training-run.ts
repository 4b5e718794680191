import {
  BlobSink,
  Checkpoints,
  MemoryStore,
  type TensorToWrite,
  writeArchive,
  writeSafetensors,
} from '@frugaljs/checkpoint';
import type { ComposedOptimizer } from '@frugaljs/composer';
import { generate, huggingFaceConfig, type LlamaConfig, LlamaForCausalLM, type TokenBatch } from '@frugaljs/llama';
import { dispose, type NamedTensorMap, type Variable, variableGrads } from '@tensorflow/tfjs-core';
import type { FileKind, Memory, OptimizerSettings, Requests, RunSettings } from '../protocol.js';
import { buildOptimizer, memoryOf } from './optimizers.js';
import { TOKENIZER } from './text.js';

/** The run of one optimizer: a model of its own, and the optimizer that trains it. */
export class TrainingRun {
  readonly model: LlamaForCausalLM;
  readonly optimizer: ComposedOptimizer;
  /** Loss of every step. */
  readonly losses: number[] = [];
  readonly #config: LlamaConfig;
  readonly #variables: Variable[];

  /** Runs that are compared start from the same weights: those depend on the seed and on their own names only. */
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

  /** A text by the model as it is now, with the average of its weights if the optimizer keeps one. The same step of the same run gives the same text. */
  async sample(
    { prompt, length, seed }: Requests['sample']['argument'],
    onText: (text: string) => void,
  ): Promise<string> {
    const start = TOKENIZER.separator!;
    const added: number[] = [];
    await this.optimizer.withAveragedWeights(() =>
      generate(this.model, [start, ...Array.from(TOKENIZER.encode(prompt))], {
        maxNewTokens: length,
        temperature: 0.7,
        topK: 40,
        seed,
        stopToken: start,
        onToken: token => {
          added.push(token);
          onText(prompt + TOKENIZER.decode(added));
        },
      }),
    );
    return prompt + TOKENIZER.decode(added);
  }

  /**
   * A file of the present state, with the number of updates in it. Weights to use elsewhere are the average, if the optimizer
   * keeps one; a checkpoint has those in training.
   */
  async file(kind: FileKind): Promise<{ readonly step: number; readonly blob: Blob }> {
    const { model, optimizer } = this;
    const blob = await (kind === 'weights'
      ? optimizer.withAveragedWeights(() => weightsOf(model))
      : checkpointOf(this));
    return { step: this.losses.length, blob };
  }
}

/** Weights, optimizer state, configuration and losses in one tar archive, which `frugal` and transformers can read. */
async function checkpointOf({ model, optimizer, losses }: TrainingRun): Promise<Blob> {
  const checkpoints = new Checkpoints({ store: new MemoryStore(), keepLast: 1, keepBest: 0 });
  await checkpoints.save({
    step: optimizer.updates,
    model: model.parameters(),
    config: huggingFaceConfig(model.config),
    optimizer,
    trainer: { losses },
  });
  await checkpoints.settled();
  const sink = new BlobSink();
  await writeArchive((await checkpoints.latest())!, sink);
  return sink.blob();
}

/** The weights alone, as safetensors under Hugging Face's names. */
async function weightsOf(model: LlamaForCausalLM): Promise<Blob> {
  const tensors = Object.entries(model.parameters()).map(
    ([name, variable]): TensorToWrite => ({
      name,
      dtype: 'F32',
      shape: variable.shape,
      data: async () => (await variable.data()) as Float32Array<ArrayBuffer>,
    }),
  );
  const sink = new BlobSink();
  await writeSafetensors(sink, tensors, { format: 'pt' });
  return sink.blob();
}

/** What engines say when an array or a buffer cannot be had. */
const NO_MEMORY = /out of memory|allocation|array length|memory access|too large|aborted/i;

/** An error in words for the page. One that comes of too little memory says what helps. */
export function failureMessage(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const { message } = error;
  const isEngine =
    error instanceof WebAssembly.RuntimeError || error instanceof RangeError || error.name === 'OperationError';
  if (!isEngine || !NO_MEMORY.test(message)) return message;
  return `Most likely memory ran out (${message}). Start again with a smaller model, batch or context, or fewer optimizers.`;
}
