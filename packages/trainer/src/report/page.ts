import { visible } from '../terminal/text.js';

/**
 * An HTML page that holds all it needs: style sheet, script, and the losses that the script shows under the pointer.
 *
 * @param main Its content, as HTML.
 * @param curves Losses by step of each curve in its chart, with the class that gives it its color.
 */
export function htmlPage(title: string, main: string, curves: readonly ShownCurve[]): string {
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escapeHtml(title)}</title>
<link rel="icon" href="data:,">
<style>${STYLE}</style>
</head>
<body>
<main>
${main}
</main>
<script type="application/json" id="curves">${scriptJson(curves)}</script>
<script>${CURSOR_SCRIPT}</script>
</body>
</html>
`;
}

/** A curve as the script of the page reads it. */
export interface ShownCurve {
  readonly label: string;
  readonly color: string;
  readonly values: readonly number[];
}

/** Text as the content of an HTML element or a quoted attribute, in which control characters are shown. */
export function escapeHtml(text: string): string {
  return visible(text).replace(/[&<>"']/g, character => ENTITIES[character]!);
}

const ENTITIES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

/** A value as the content of a `<script type="application/json">`. */
function scriptJson(value: unknown): string {
  return JSON.stringify(value).replaceAll('<', '\\u003c');
}

/** The style sheet of the report: follows the reader's light or dark scheme, and folds the table up on a phone. */
const STYLE = `
:root {
  color-scheme: light dark;
  --page: #f6f7f9; --card: #ffffff; --ink: #17202b; --soft: #55606e; --rule: #dde2e8; --bar: #e6ebf1; --note: #fff6dc;
  --c0: #4a5564; --c1: #0a66c2; --c2: #0b8a6f; --c3: #c8530c; --c4: #a23b91; --c5: #8a6a00; --c6: #6a55cf; --c7: #b3263e;
}
@media (prefers-color-scheme: dark) {
  :root {
    --page: #10151c; --card: #18202a; --ink: #e8edf3; --soft: #a3afbd; --rule: #2c3743; --bar: #26313d; --note: #322a10;
    --c0: #b4bfcc; --c1: #6cb2ff; --c2: #4fd0ad; --c3: #ff9a5c; --c4: #ea8fdb; --c5: #dcb94b; --c6: #aa9bff; --c7: #ff8a97;
  }
}
* { box-sizing: border-box; }
body { margin: 0; background: var(--page); color: var(--ink); font: 16px/1.55 system-ui, "Segoe UI", Roboto, sans-serif; }
main { max-width: 980px; margin: 0 auto; padding: 40px 20px 56px; }
h1 { font-size: clamp(1.6rem, 4vw, 2.2rem); line-height: 1.15; letter-spacing: -.02em; margin: 0 0 12px; text-wrap: balance; }
h2 { font-size: 1.1rem; margin: 0; }
p { margin: 0; }
.lede { font-size: 1.08rem; color: var(--soft); max-width: 66ch; }
.lede strong { color: var(--ink); font-weight: 600; }
.eyebrow { font-size: .8rem; font-weight: 600; letter-spacing: .08em; text-transform: uppercase; color: var(--soft); margin-bottom: 8px; }
.card { background: var(--card); border: 1px solid var(--rule); border-radius: 14px; padding: 20px 22px; margin-top: 24px; }
.hint { color: var(--soft); font-size: .88rem; margin-top: 2px; }
.note { background: var(--note); border-radius: 14px; padding: 14px 22px; margin-top: 24px; font-size: .95rem; }
.holder { position: relative; margin-top: 10px; }
.chart { display: block; width: 100%; height: auto; overflow: visible; touch-action: pan-y; border-radius: 6px; }
.chart.narrow { display: none; }
.chart:focus-visible { outline: 2px solid var(--c1); outline-offset: 4px; }
.chart text { font: 12.5px system-ui, "Segoe UI", Roboto, sans-serif; font-variant-numeric: tabular-nums; }
.tick { fill: var(--soft); }
.grid { stroke: var(--rule); }
.axis { stroke: var(--soft); }
.cursor { stroke: var(--soft); stroke-dasharray: 3 3; pointer-events: none; }
.curve { fill: none; stroke: var(--color); stroke-width: 2; stroke-linejoin: round; }
.leader { fill: none; stroke: var(--color); opacity: .45; }
.end { fill: var(--color); stroke: var(--card); stroke-width: 1.5; }
.chart .name { fill: var(--color); font-weight: 600; }
.picked [data-series]:not(.strong) { opacity: .18; }
.picked .curve.strong { stroke-width: 3; }
.series-0 { --color: var(--c0); } .series-1 { --color: var(--c1); } .series-2 { --color: var(--c2); } .series-3 { --color: var(--c3); }
.series-4 { --color: var(--c4); } .series-5 { --color: var(--c5); } .series-6 { --color: var(--c6); } .series-7 { --color: var(--c7); }
.legend { display: none; list-style: none; flex-wrap: wrap; gap: 4px 16px; margin: 10px 0 0; padding: 0; font-size: .9rem; }
.marker { width: 14px; height: 14px; flex: none; } .marker path { fill: var(--color); }
.legend li, .who { display: inline-flex; align-items: center; gap: 8px; }
#tip { position: absolute; top: 8px; pointer-events: none; background: var(--card); border: 1px solid var(--rule); border-radius: 8px;
  padding: 6px 14px 8px; box-shadow: 0 4px 18px rgb(0 0 0 / .14); font-size: .85rem; font-variant-numeric: tabular-nums; width: max-content; }
#tip caption { text-align: left; color: var(--soft); white-space: nowrap; } #tip th { text-align: left; font-weight: 600; color: var(--color); padding-right: 14px; }
#tip td { text-align: right; }
table { border-collapse: collapse; }
.results { width: 100%; margin-top: 12px; font-variant-numeric: tabular-nums; }
.results th, .results td { padding: 10px 0 10px 18px; text-align: right; border-top: 1px solid var(--rule); font-weight: 400; white-space: nowrap; }
.results thead th { border-top: 0; color: var(--soft); font-size: .84rem; padding-top: 4px; vertical-align: bottom; white-space: normal; }
.results th:first-child { text-align: left; padding-left: 0; }
.results tbody th { font-weight: 600; white-space: normal; }
.results .best { font-weight: 700; }
.state { width: 27%; } .state .value { display: block; }
.bar { display: block; height: 6px; border-radius: 3px; background: var(--bar); margin-top: 3px; overflow: hidden; }
.bar span { display: block; height: 100%; border-radius: 3px; background: var(--color); }
dl { display: grid; grid-template-columns: fit-content(240px) 1fr; gap: 6px 22px; margin: 12px 0 0; font-size: .95rem; }
dt { color: var(--soft); } dd { margin: 0; overflow-wrap: anywhere; }
code { font: .9em ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; }
footer { color: var(--soft); font-size: .85rem; margin-top: 28px; }
@media (max-width: 680px) {
  main { padding: 24px 14px 40px; }
  .card, .note { padding: 16px; }
  .chart.wide { display: none; } .chart.narrow { display: block; } .legend { display: flex; }
  .results, .results tbody, .results tr, .results th, .results td { display: block; }
  .results thead { display: none; }
  .results tr { border-top: 1px solid var(--rule); padding: 10px 0; } .results tbody tr:first-child { border-top: 0; }
  .results th, .results td { border: 0; padding: 2px 0; width: auto; }
  .results td { display: flex; justify-content: space-between; gap: 2px 12px; }
  .results td::before { content: attr(data-title); color: var(--soft); }
  .results td.state { flex-wrap: wrap; } .results .bar { flex-basis: 100%; margin-bottom: 4px; }
  dl { grid-template-columns: 1fr; gap: 0; } dd { margin-bottom: 8px; }
}
@media print { body { background: none; } .card { break-inside: avoid; } }
`;

/**
 * Shows the losses of all curves at the step under the pointer, or, with the chart in focus, at the step that the arrow
 * keys choose. Without it the report is complete but for these numbers.
 */
const CURSOR_SCRIPT = `
const curves = JSON.parse(document.getElementById('curves').textContent);
const tip = document.getElementById('tip');
for (const chart of document.querySelectorAll('svg.chart')) {
  const line = chart.querySelector('.cursor');
  const { left, right, steps } = Object.fromEntries(Object.entries(chart.dataset).map(([k, v]) => [k, Number(v)]));
  let current = steps;
  const hide = () => { line.setAttribute('visibility', 'hidden'); tip.hidden = true; };
  const show = step => {
    current = Math.min(steps, Math.max(1, Math.round(step)));
    const x = left + (current / steps) * (right - left);
    line.setAttribute('x1', x); line.setAttribute('x2', x); line.setAttribute('visibility', 'visible');
    const rows = curves.filter(c => c.values[current - 1] != null)
      .sort((a, b) => b.values[current - 1] - a.values[current - 1])
      .map(c => {
        const row = document.createElement('tr');
        const name = document.createElement('th');
        const value = document.createElement('td');
        name.scope = 'row'; name.textContent = c.label; name.className = c.color;
        value.textContent = c.values[current - 1].toFixed(3);
        row.append(name, value);
        return row;
      });
    tip.querySelector('caption').textContent = 'step ' + current;
    tip.querySelector('tbody').replaceChildren(...rows);
    tip.hidden = false;
    const box = chart.getBoundingClientRect();
    const holder = tip.parentElement.getBoundingClientRect();
    const px = box.left - holder.left + x * box.width / chart.viewBox.baseVal.width;
    const toLeft = px + 14 + tip.offsetWidth > holder.width;
    tip.style.left = Math.max(0, toLeft ? px - 14 - tip.offsetWidth : px + 14) + 'px';
  };
  chart.addEventListener('pointermove', event => {
    const box = chart.getBoundingClientRect();
    const x = (event.clientX - box.left) * chart.viewBox.baseVal.width / box.width;
    show((x - left) / (right - left) * steps);
  });
  chart.addEventListener('pointerleave', hide);
  chart.addEventListener('blur', hide);
  chart.addEventListener('keydown', event => {
    const by = { ArrowLeft: -1, ArrowRight: 1, PageDown: -Math.ceil(steps / 20), PageUp: Math.ceil(steps / 20) }[event.key];
    if (by) { event.preventDefault(); show(current + by); }
  });
}
for (const entry of document.querySelectorAll('[data-run]')) {
  const mark = on => {
    document.body.classList.toggle('picked', on);
    for (const part of document.querySelectorAll('[data-series]')) {
      part.classList.toggle('strong', on && part.dataset.series === entry.dataset.run);
    }
  };
  entry.addEventListener('pointerenter', () => mark(true));
  entry.addEventListener('pointerleave', () => mark(false));
}
`;
