import type { Rival } from '../session/rival.js';
import { element } from './element.js';
import { formatCount, formatLoss } from './format.js';

const ROWS = 20;

/** The losses of some steps as a table, for those who cannot see the curves or want the numbers. */
export function lossTable(rivals: readonly Rival[], step: number): HTMLElement {
  const apart = Math.max(1, Math.ceil(step / ROWS));
  const steps = Array.from({ length: Math.ceil(step / apart) }, (_, i) => Math.min(step, (i + 1) * apart));
  const head = ['Step', ...rivals.map(({ label }) => label)].map(text =>
    element('th', { scope: 'col', textContent: text }),
  );
  const rows = steps.map(at =>
    element(
      'tr',
      {},
      element('th', { scope: 'row', textContent: formatCount(at) }),
      ...rivals.map(({ losses }) => {
        const loss = losses[at - 1];
        return element('td', { textContent: loss === undefined ? '–' : formatLoss(loss) });
      }),
    ),
  );
  return element(
    'table',
    { className: 'losses' },
    element('thead', {}, element('tr', {}, ...head)),
    element('tbody', {}, ...rows),
  );
}

/** Every loss of every optimizer as comma-separated values, to the last digit. */
export function lossCsv(rivals: readonly Rival[], step: number): string {
  const quoted = (text: string): string => `"${text.replaceAll('"', '""')}"`;
  const head = ['step', ...rivals.map(({ label }) => quoted(label))].join(',');
  const rows = Array.from({ length: step }, (_, i) =>
    [i + 1, ...rivals.map(({ losses }) => losses[i] ?? '')].join(','),
  );
  return [head, ...rows, ''].join('\n');
}
