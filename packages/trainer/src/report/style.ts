/** The style sheet of the report: follows the reader's light or dark scheme, and folds the table up on a phone. */
export const STYLE: string = `
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
