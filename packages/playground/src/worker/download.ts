import {
  BlobSink,
  Checkpoints,
  MemoryStore,
  type TensorToWrite,
  writeArchive,
  writeSafetensors,
} from '@frugaljs/checkpoint';
import { huggingFaceConfig } from '@frugaljs/llama';
import type { Contender } from './contender.js';

/** Weights, optimizer state, configuration and losses in one tar archive, which `frugal` and transformers can read. */
export async function checkpointOf(contender: Contender): Promise<Blob> {
  const checkpoints = new Checkpoints({ store: new MemoryStore(), keepLast: 1, keepBest: 0 });
  await checkpoints.save({
    step: contender.optimizer.updates,
    model: contender.model.parameters(),
    config: huggingFaceConfig(contender.model.config),
    optimizer: contender.optimizer,
    trainer: { losses: contender.losses },
  });
  await checkpoints.settled();
  const sink = new BlobSink();
  await writeArchive((await checkpoints.latest())!, sink);
  return sink.blob();
}

/** The weights alone, as safetensors under Hugging Face's names. */
export async function weightsOf({ model }: Contender): Promise<Blob> {
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
