import type { RunResult } from '../comparison/result.js';
import { COLUMNS, cells } from '../comparison/table.js';
import { escapeHtml } from './escape.js';
import { colorClass, markerIcon } from './series.js';

/** Column of the optimizer state, which also has a bar. */
const STATE = 3;

/**
 * The results as an HTML table. On a phone the style sheet turns rows into blocks, in which browsers forget that there
 * is a table; the roles say so again.
 */
export function resultTable(runs: readonly RunResult[]): string {
  const largest = Math.max(...runs.map(({ stateBytes }) => stateBytes), 1);
  const head = COLUMNS.map(title => `<th role="columnheader" scope="col">${escapeHtml(title)}</th>`).join('');
  const rows = runs.map((run, index) => {
    const [name, ...values] = cells(run);
    const data = values.map((value, i) => cell(value, i + 1, run.stateBytes / largest));
    return (
      `<tr role="row" class="${colorClass(index)}" data-run="${index}">` +
      `<th role="rowheader" scope="row"><span class="who">${markerIcon(index)}${escapeHtml(name!)}</span></th>` +
      `${data.join('')}</tr>`
    );
  });
  return (
    `<table class="results" role="table" aria-labelledby="results-title"><thead role="rowgroup"><tr role="row">${head}</tr></thead>` +
    `<tbody role="rowgroup">${rows.join('')}</tbody></table>`
  );
}

function cell(value: string, column: number, share: number): string {
  const title = `data-title="${escapeHtml(COLUMNS[column]!)}"`;
  const text = `<span class="value">${escapeHtml(value)}</span>`;
  if (column !== STATE) return `<td role="cell" ${title}>${text}</td>`;
  const bar = `<span class="bar" aria-hidden="true"><span style="width:${(100 * share).toFixed(1)}%"></span></span>`;
  return `<td role="cell" class="state" ${title}>${text}${bar}</td>`;
}
