import type { ComposedOptimizer } from '@frugaljs/composer';
import { formatBinaryBytes } from './byte-size.js';
import { type LlamaModel, memoryOf } from './memory-of.js';
import { limitsOf, plan, type Room } from './plan.js';
import { commandOf } from './plan-command.js';

/**
 * What to say about a run that ran out of memory: what it takes, and what takes less and fits. What was tried does not
 * fit, whatever was expected of it, so that only what takes less is proposed.
 *
 * @param room The backend, and how much there was if that is known.
 */
export function outOfMemoryAdvice(model: LlamaModel, optimizer: ComposedOptimizer, room: Room): string[] {
  const limits = limitsOf(room);
  const tried = memoryOf(model, optimizer, limits);
  const { parameterBytes, gradientBytes, stateBytes, activationBytes, peakBytes } = tried;
  const [weights, gradients, state, rest] = [parameterBytes, gradientBytes, stateBytes, activationBytes].map(
    formatBinaryBytes,
  );
  const expected =
    `This run takes about ${formatBinaryBytes(peakBytes)}: weights ${weights}, gradients ${gradients}, optimizer state ` +
    `${state}, activations and temporaries ${rest}.`;
  const budget = Math.min(limits.totalBytes ?? Number.POSITIVE_INFINITY, peakBytes - 1);
  const { choice, advice } = plan({ ...model, ...room, budget });
  if (choice === null) return [expected, `No optimizer makes it fit ${limitText(limits)}.`, ...advice];
  const { memory, label } = choice;
  return [
    expected,
    `What fits ${limitText(limits)}: ${label}, ${formatBinaryBytes(memory.peakBytes)} in all, ` +
      `${formatBinaryBytes(memory.stateBytes)} of state:${commandOf(choice)}`,
    ...advice,
  ];
}

function limitText({ totalBytes, total }: { readonly totalBytes: number | null; readonly total: string }): string {
  return totalBytes === null ? 'better' : `into ${formatBinaryBytes(totalBytes)} (${total})`;
}
