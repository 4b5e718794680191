import type { Comparison, RunResult } from '../comparison/result.js';
import { formatBytes, formatCount } from '../terminal/units.js';
import { escapeHtml } from './escape.js';

/** What was compared, and how much state the leanest method needs beside the one that needs most, as HTML. */
export function headline({ runs, settings }: Comparison): string {
  const { num_hidden_layers: layers } = settings.config;
  const times = ['never', 'once', 'twice'][runs.length] ?? `${runs.length} times`;
  const intro =
    `The same ${layers}-layer LLaMA, trained ${times} for ${formatCount(settings.steps)} steps from the same weights on ` +
    `the same batches of ${escapeHtml(settings.data.name)}. Only the optimizer differs.`;
  const bySize = [...runs].sort((a, b) => a.stateBytes - b.stateBytes);
  const [least, most] = [bySize[0], bySize.at(-1)];
  if (least === undefined || most === undefined || least.stateBytes === most.stateBytes) return intro;
  return `${intro} ${memorySentence(least, most)}`;
}

function memorySentence(least: RunResult, most: RunResult): string {
  const share = Math.round((100 * least.stateBytes) / most.stateBytes);
  return (
    `${escapeHtml(most.optimizer)} keeps ${size(most)} of state for it; <strong>${escapeHtml(least.optimizer)} ` +
    `makes do with ${size(least)}, ${share}\u00a0% of that</strong>.`
  );
}

/** Number and unit on one line. */
function size({ stateBytes }: RunResult): string {
  return formatBytes(stateBytes).replace(' ', '\u00a0');
}
