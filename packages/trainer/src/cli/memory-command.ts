import { Command } from 'commander';
import { integer, number } from './option-parsers.js';

/** What the command line of `frugal memory` asks for. */
export interface MemoryRequest {
  readonly config: string;
  readonly vocab?: number;
  readonly batch: number;
  readonly length: number;
  readonly recompute?: boolean;
  readonly lora?: number;
  readonly loraTargets?: string;
  readonly density: number;
  readonly budget?: string;
  readonly backend: string;
  readonly maxTensor?: string;
  readonly projectors?: string;
  readonly json?: string;
}

/** `frugal memory`: what a run takes, by method, and what fits. */
export function memoryCommand(run: (request: MemoryRequest) => Promise<void>): Command {
  return new Command('memory')
    .description('Say how much memory a training run takes with each optimizer, and what fits; nothing is built.')
    .requiredOption(
      '--config <name>',
      'the model: a preset, a JSON file with Hugging Face keys, or a folder that has one',
    )
    .option('--vocab <n>', "size of the vocabulary (default: the model's own)", integer(1))
    .option('--batch <n>', 'rows of a batch', integer(1), 8)
    .option('--length <n>', 'tokens of a row', integer(1), 64)
    .option('--recompute', 'with layers computed again in the backward pass, as by train --recompute')
    .option('--lora <rank>', 'what training LoRA adapters of this rank takes, in place of the plan', integer(1))
    .option('--lora-targets <list>', 'layers to adapt, as by train --lora-targets')
    .option('--density <share>', 'share of the hidden matrices that has state, for the table', number(0, 1), 0.25)
    .option('--budget <size>', 'how much there is, such as 8GiB or 500MB')
    .option('--backend <name>', 'wasm, cpu, webgpu or tensorflow, whose limits hold too', 'wasm')
    .option('--max-tensor <size>', "largest tensor of the backend; on webgpu the adapter's maxStorageBufferBindingSize")
    .option('--projectors <list>', 'projectors to choose from, the preferred one first, with commas between them')
    .option('--json <file>', 'write all numbers to this file')
    .action(run);
}
