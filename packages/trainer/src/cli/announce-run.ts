import { type LlamaConfig, parameterCount } from '@frugaljs/llama';
import type { Progress } from '../terminal/progress.js';
import { formatBytes, formatCount } from '../terminal/units.js';
import { describeModel, type OpenedData } from './open-data.js';
import type { TrainingRequest } from './training-request.js';

/** Says what is about to be trained. */
export function announceRun(
  progress: Progress,
  { steps, batch, length, accumulate, recompute = false, seed, backend, weights: from }: TrainingRequest,
  run: {
    readonly recipe: string;
    readonly stateBytes: number;
    readonly config: LlamaConfig;
    readonly opened: OpenedData;
    /** What the run goes on from. */
    readonly resumed: { readonly step: number; readonly name: string } | null;
  },
): void {
  const { dataset, tokenizer, name } = run.opened;
  const weights = formatCount(parameterCount(run.config).total);
  const origin = run.resumed !== null ? `of ${run.resumed.name}` : from === undefined ? `seed ${seed}` : `from ${from}`;
  const tokens = formatCount(batch * length * accumulate);
  const lines = [
    `Model      LLaMA, ${describeModel(run.config)}, ${weights} weights, ${origin}`,
    `Text       ${name} (${tokenizer.kind}), ${formatCount(dataset.train.length)} tokens to train on, ` +
      `${formatCount(dataset.validation.length)} held out`,
    `Optimizer  ${run.recipe}, ${formatBytes(run.stateBytes)} of state`,
    `Run        ${formatCount(steps)} steps of ${tokens} tokens, backend ${backend}${recompute ? ', layers recomputed' : ''}`,
    ...(run.resumed === null ? [] : [`Goes on    after step ${run.resumed.step} (${run.resumed.name})`]),
  ];
  progress.print(`${lines.join('\n')}\n`);
}
