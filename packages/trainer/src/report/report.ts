import { caveat } from '../comparison/caveat.js';
import type { Comparison } from '../comparison/result.js';
import { CURSOR_SCRIPT } from './cursor-script.js';
import { escapeHtml, scriptJson } from './escape.js';
import { headline } from './headline.js';
import { lossChart } from './loss-chart.js';
import { resultTable } from './result-table.js';
import { colorClass, markerIcon, seriesOf, smoothingSpan } from './series.js';
import { settingsList } from './settings-list.js';
import { STYLE } from './style.js';

/**
 * The report of a comparison: one HTML page that holds all it needs and asks for nothing from anywhere.
 */
export function comparisonReport(comparison: Comparison): string {
  const { runs, settings } = comparison;
  const span = smoothingSpan(settings.steps);
  const series = seriesOf(runs, span);
  const curves = series.map(({ label, index, values }) => ({
    label,
    color: colorClass(index),
    values: values.map(value => Number(value.toFixed(4))),
  }));
  const legend = series.map(
    ({ label, index }) => `<li data-run="${index}">${markerIcon(index)}${escapeHtml(label)}</li>`,
  );
  const stopped = comparison.interrupted
    ? '<p class="note" role="status">The comparison was interrupted: it shows what had been done by then.</p>'
    : '';
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${runs.length} optimizers on one LLaMA: frugal.js</title>
<link rel="icon" href="data:,">
<style>${STYLE}</style>
</head>
<body>
<main>
<header>
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
<footer>Made by <code>frugal compare</code>.</footer>
</main>
<script type="application/json" id="curves">${scriptJson(curves)}</script>
<script>${CURSOR_SCRIPT}</script>
</body>
</html>
`;
}

/** The names of the methods as a title: families once, "A, B and C". */
function titleOf({ runs }: Comparison): string {
  const families = [...new Set(runs.map(({ optimizer }) => optimizer.split(' ')[0]!))];
  const last = families.pop();
  return families.length === 0 ? `${last}` : `${families.join(', ')} and ${last}`;
}
