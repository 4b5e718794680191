import type { Json } from '@frugaljs/core';
import {
  COLUMNS,
  type Comparison,
  type ComparisonSettings,
  caveat,
  cells,
  type RunResult,
} from '../comparison/result.js';
import { formatBytes, formatCount, visible } from '../terminal/text.js';
import { colorClass, lossChart, markerIcon, seriesOf, smoothingSpan } from './loss-chart.js';
import { escapeHtml, htmlPage } from './page.js';

/**
 * The report of a comparison: one HTML page that holds all it needs and asks for nothing from anywhere.
 */
export function comparisonReport(comparison: Comparison): string {
  const { runs, settings } = comparison;
  const span = smoothingSpan(settings.steps);
  const series = seriesOf(runs, span);
  const curves = series.map(({ label, index, values }) => ({
    label: visible(label),
    color: colorClass(index),
    values: values.map(value => Number(value.toFixed(4))),
  }));
  const legend = series.map(
    ({ label, index }) => `<li data-run="${index}">${markerIcon(index)}${escapeHtml(label)}</li>`,
  );
  const stopped = comparison.interrupted
    ? '<p class="note" role="status">The comparison was interrupted: it shows what had been done by then.</p>'
    : '';
  const main = `<header>
<p class="eyebrow">frugal.js comparison</p>
<h1>${escapeHtml(titleOf(comparison))}</h1>
<p class="lede">${headline(comparison)}</p>
</header>
${stopped}
<section class="card" aria-labelledby="chart-title">
<h2 id="chart-title">Training loss</h2>
<p class="hint" id="chart-text">Nats per token${span > 1 ? `, averaged over about ${span} steps` : ''}; lower is better. The table has the final figures.</p>
<div class="holder">
${lossChart(series, settings.steps, 'wide', { width: 936, height: 430, labels: true })}
${lossChart(series, settings.steps, 'narrow', { width: 350, height: 320, labels: false })}
<ul class="legend">${legend.join('')}</ul>
<div id="tip" hidden><table><caption></caption><tbody></tbody></table></div>
</div>
</section>
<section class="card">
<h2 id="results-title">Results</h2>
${resultTable(runs)}
</section>
<p class="note"><strong>How to read this.</strong> ${escapeHtml(caveat(settings))}</p>
<section class="card" aria-labelledby="settings-title">
<h2 id="settings-title">Settings</h2>
${settingsList(comparison)}
</section>
<footer>Made by <code>frugal compare</code>.</footer>`;
  return htmlPage(`${runs.length} optimizers on one LLaMA: frugal.js`, main, curves);
}

/** The names of the methods as a title: families once, "A, B and C". */
function titleOf({ runs }: Comparison): string {
  const families = [...new Set(runs.map(({ optimizer }) => optimizer.split(' ')[0]!))];
  const last = families.pop();
  return families.length === 0 ? `${last}` : `${families.join(', ')} and ${last}`;
}

/** What was compared, and how much state the leanest method needs beside the one that needs most, as HTML. */
function headline({ runs, settings }: Comparison): string {
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

/** Column of the optimizer state, which also has a bar. */
const STATE = 3;

/**
 * The results as an HTML table. On a phone the style sheet turns rows into blocks, in which browsers forget that there
 * is a table; the roles say so again.
 */
function resultTable(runs: readonly RunResult[]): string {
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

/** What was run, as a list of terms and descriptions. */
function settingsList({ settings, runs }: Comparison): string {
  const entries: [term: string, description: string][] = [
    ['model', modelOf(settings)],
    ['text', textOf(settings)],
    [
      'a step',
      `${settings.batch} rows of ${settings.length} tokens, ${formatCount(settings.batch * settings.length)} in all`,
    ],
    ['learning rate', settings.schedule],
    ['validation', `mean over the same ${formatCount(settings.evaluatedTokens)} held-out tokens`],
    ['seed', `${settings.seed}, for weights, batches and random subspaces`],
    ['backend', settings.backend],
  ];
  const common = entries.map(([term, text]) => `<dt>${escapeHtml(term)}</dt><dd>${escapeHtml(text)}</dd>`);
  const methods = runs.map(
    run => `<dt>${escapeHtml(run.optimizer)}</dt><dd><code>${escapeHtml(methodOf(run))}</code></dd>`,
  );
  return `<dl>${common.join('')}${methods.join('')}</dl>`;
}

function modelOf({ config, parameters }: ComparisonSettings): string {
  const { num_hidden_layers: layers, hidden_size: width, num_attention_heads: heads } = config;
  return `LLaMA with ${layers} layers of width ${width} and ${heads} heads, ${formatCount(parameters)} weights`;
}

function textOf({ data, tokenizer }: ComparisonSettings): string {
  const { name, trainTokens, validationTokens } = data;
  return `${name}, ${formatCount(trainTokens)} tokens to train on and ${formatCount(validationTokens)} held out; tokenizer: ${tokenizer}`;
}

function methodOf({ recipe, options, learningRate }: RunResult): string {
  const all = Object.entries({ ...options, learningRate }).map(([key, value]) => `${key}: ${literal(value)}`);
  return `${recipe}({ ${all.join(', ')} })`;
}

/** JSON with bare keys, as one would write it in a program. */
function literal(value: Json | undefined): string {
  return JSON.stringify(value)
    .replace(/"(\w+)":/g, ' $1: ')
    .replace(/(?<=[\w"\]}])\}/g, ' }')
    .replaceAll('"', "'");
}
