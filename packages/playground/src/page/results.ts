import type { Run } from '../session/run.js';
import { byId, element, marker } from './element.js';
import { formatCount, formatLoss } from './format.js';
import type { LossChart } from './loss-chart.js';
import type { MemoryBars } from './memory-bars.js';
import type { Writings } from './writings.js';

/** The parts of the results that the page fills. */
export interface ResultParts {
  readonly tiles: Tiles;
  readonly chart: LossChart;
  readonly memory: MemoryBars;
  readonly writings: Writings;
  /** Downloads the losses. */
  readonly onCsv: () => void;
  /** Makes the table of losses, when it is opened. */
  readonly lossTable: () => HTMLElement;
}

/** What of the layout changes by itself. */
export interface ResultsLayout {
  /** For what made a comparison impossible. */
  readonly failure: HTMLElement;
  readonly csv: HTMLButtonElement;
  readonly table: HTMLDetailsElement;
  /** Makes the table of losses anew, if it is open. */
  refreshTable(): void;
}

/** Lays out the results. */
export function layOutResults({ tiles, chart, memory, writings, onCsv, lossTable }: ResultParts): ResultsLayout {
  const failure = element('p', { className: 'failure', id: 'failure', hidden: true });
  failure.setAttribute('role', 'alert');
  const csv = element('button', { type: 'button', className: 'link', id: 'csv', disabled: true }, 'Losses as CSV');
  csv.addEventListener('click', onCsv);
  const holder = element('div');
  const table = element('details', { className: 'numbers' }, element('summary', {}, 'Losses as a table'), holder);
  const refreshTable = (): void => {
    if (table.open) holder.replaceChildren(lossTable());
  };
  table.addEventListener('toggle', refreshTable);
  byId('results').append(
    failure,
    tiles.node,
    card('Training loss', 'Per batch, faint, and its moving average. Lower is better.', chart.node, table, csv),
    card('Memory', null, memory.node),
    card('What they write', null, writings.node),
  );
  return { failure, csv, table, refreshTable };
}

function card(title: string, hint: string | null, ...children: readonly Node[]): HTMLElement {
  return element(
    'section',
    { className: 'card' },
    element('h2', { textContent: title }),
    hint === null ? null : element('p', { className: 'hint', textContent: hint }),
    ...children,
  );
}

/** The present figures of every optimizer; also the legend of the chart. */
export class Tiles {
  readonly node: HTMLElement = element('ul', { className: 'tiles', id: 'tiles' });
  #tiles: { loss: HTMLElement; speed: HTMLElement }[] = [];

  /** Empty tiles with these names. */
  prepare(labels: readonly string[]): void {
    this.#tiles = labels.map(() => ({
      loss: element('strong', { className: 'loss', textContent: '–' }),
      speed: element('span', { className: 'speed', textContent: 'not started' }),
    }));
    const items = this.#tiles.map(({ loss, speed }, i) =>
      element(
        'li',
        { className: `tile series-${i}` },
        element('span', { className: 'who' }, marker(i), labels[i]!),
        element(
          'span',
          { className: 'figure' },
          loss,
          element('span', { className: 'unit', textContent: ' nats per byte' }),
        ),
        speed,
      ),
    );
    this.node.replaceChildren(...items);
  }

  update(runs: readonly Run[], tokensPerStep: number): void {
    for (const [i, { averages, milliseconds, divergedAt }] of runs.entries()) {
      const tile = this.#tiles[i];
      if (tile === undefined) continue;
      const loss = averages.at(-1);
      if (loss !== undefined) tile.loss.textContent = formatLoss(loss);
      if (divergedAt !== null) tile.speed.textContent = `diverged at step ${divergedAt}`;
      else if (milliseconds !== null) {
        tile.speed.textContent = `${formatCount((1000 * tokensPerStep) / milliseconds)} tokens/s`;
      }
    }
  }
}

const ROWS = 20;

/** The losses of some steps as a table, for those who cannot see the curves or want the numbers. */
export function lossTable(runs: readonly Run[], step: number): HTMLElement {
  const apart = Math.max(1, Math.ceil(step / ROWS));
  const steps = Array.from({ length: Math.ceil(step / apart) }, (_, i) => Math.min(step, (i + 1) * apart));
  const head = ['Step', ...runs.map(({ label }) => label)].map(text =>
    element('th', { scope: 'col', textContent: text }),
  );
  const rows = steps.map(at =>
    element(
      'tr',
      {},
      element('th', { scope: 'row', textContent: formatCount(at) }),
      ...runs.map(({ losses }) => {
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
export function lossCsv(runs: readonly Run[], step: number): string {
  const quoted = (text: string): string => `"${text.replaceAll('"', '""')}"`;
  const head = ['step', ...runs.map(({ label }) => quoted(label))].join(',');
  const rows = Array.from({ length: step }, (_, i) => [i + 1, ...runs.map(({ losses }) => losses[i] ?? '')].join(','));
  return [head, ...rows, ''].join('\n');
}

/** Offers a file for download. */
export function saveFile(name: string, blob: Blob): void {
  const link = document.createElement('a');
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  // The download has its own hold on the blob once it has begun.
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

/** A name that every file system takes. */
export function fileName(label: string, step: number, ending: string): string {
  const plain = label
    .toLowerCase()
    .replace(/[^a-z0-9.]+/g, '-')
    .replace(/^-|-$/g, '');
  return `${plain}-step-${step}.${ending}`;
}
