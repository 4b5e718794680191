import { byId, element } from './element.js';
import type { LossChart } from './loss-chart.js';
import type { MemoryBars } from './memory-bars.js';
import type { Tiles } from './tiles.js';
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
