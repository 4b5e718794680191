import uPlot from 'uplot';
import 'uplot/dist/uPlot.min.css';
import type { Session } from '../session/session.js';
import { announce } from './announcer.js';
import { drawCurveEnds, namesWidth } from './curve-labels.js';
import { element } from './element.js';
import { formatLoss } from './format.js';
import { LossCurves } from './loss-curves.js';
import { type Palette, readPalette } from './palette.js';

/** Below this width the names of the curves do not fit beside them; the tiles above name them by mark and color. */
const NARROW = 560;
const FONT = '12px system-ui, "Segoe UI", Roboto, sans-serif';

/** Loss curves of all optimizers, live. The arrow keys move a cursor that reads them. */
export class LossChart {
  readonly node: HTMLElement;
  readonly #holder: HTMLElement = element('div', { className: 'chart', id: 'chart', tabIndex: 0 });
  readonly #tip: HTMLElement = element('div', { className: 'tip', hidden: true });
  readonly #empty: HTMLElement = element(
    'p',
    { className: 'empty' },
    element('span', { textContent: 'The curves grow here once you press Start.' }),
  );
  readonly #labels: () => readonly string[];
  readonly #steps: () => number;
  #palette: Palette = readPalette();
  #plot: uPlot | null = null;
  #session: Session | null = null;
  #curves: LossCurves | null = null;
  #cursor: number | null = null;

  /**
   * @param labels Names of the optimizers as set up, for the frame of the empty chart.
   * @param steps Steps as set up.
   */
  constructor(labels: () => readonly string[], steps: () => number) {
    this.#labels = labels;
    this.#steps = steps;
    this.#holder.setAttribute('role', 'img');
    this.node = element('div', { className: 'chart-holder' }, this.#holder, this.#empty, this.#tip);
    new ResizeObserver(() => this.#resize()).observe(this.#holder);
    matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => {
      this.#palette = readPalette();
      this.#build();
    });
    this.#holder.addEventListener('keydown', event => this.#moveCursor(event));
    this.#holder.addEventListener('blur', () => this.#readAt(null));
  }

  /** Shows another comparison; null: none. */
  show(session: Session | null): void {
    this.#session = session;
    this.#curves = session === null ? null : new LossCurves(session.rivals);
    this.#empty.hidden = session !== null;
    this.#readAt(null);
    this.#build();
  }

  /** Draws the steps made since the last call. */
  update(): void {
    if (this.#session === null || this.#curves === null) return;
    this.#curves.update(this.#session.step);
    this.#plot?.setData(this.#curves.data);
    this.#describe();
  }

  #build(): void {
    this.#plot?.destroy();
    this.#plot = null;
    const { width, height } = this.#size();
    if (width === 0) return;
    const { soft, rule, series: colors } = this.#palette;
    const count = this.#session?.rivals.length ?? 0;
    const named = width >= NARROW;
    const labels = this.#session?.rivals.map(({ label }) => label) ?? this.#labels();
    const curve = (i: number, raw: boolean): uPlot.Series => ({
      stroke: raw ? `${colors[i]!}40` : colors[i]!,
      width: raw ? 1 : 2,
      points: { show: false },
    });
    const axis = { stroke: soft, font: FONT, ticks: { show: false }, gap: 6 } as const;
    this.#plot = new uPlot(
      {
        width,
        height,
        padding: [10, named ? namesWidth(labels) : 14, 0, 0],
        legend: { show: false },
        cursor: { drag: { x: false, y: false }, points: { show: false }, y: false },
        scales: {
          x: { time: false, range: () => [0, this.#session?.setup.run.steps ?? this.#steps()] },
          y: { range: () => this.#curves?.range() ?? [0, 6] },
        },
        axes: [
          { ...axis, grid: { show: false }, border: { show: true, stroke: soft, width: 1 }, size: 30 },
          { ...axis, grid: { stroke: rule, width: 1 }, size: 42 },
        ],
        series: [
          {},
          ...Array.from({ length: count }, (_, i) => curve(i, true)),
          ...Array.from({ length: count }, (_, i) => curve(i, false)),
        ],
        hooks: {
          draw: [plot => this.#drawEnds(plot, named)],
          setCursor: [plot => this.#follow(plot)],
        },
      },
      this.#curves?.data ?? [[]],
      this.#holder,
    );
    this.#describe();
  }

  #drawEnds(plot: uPlot, named: boolean): void {
    const ends = (this.#session?.rivals ?? []).flatMap(({ label }, place) => {
      const end = this.#curves!.end(place);
      return end === null ? [] : [{ place, label, color: this.#palette.series[place]!, ...end }];
    });
    drawCurveEnds(plot, ends, named);
  }

  #resize(): void {
    const { width, height } = this.#size();
    if (this.#plot === null || width >= NARROW !== this.#plot.width >= NARROW) this.#build();
    else if (width > 0) this.#plot.setSize({ width, height });
  }

  #size(): { width: number; height: number } {
    const width = this.#holder.clientWidth;
    return { width, height: width >= NARROW ? 340 : 260 };
  }

  /** The pointer moves uPlot's cursor. */
  #follow(plot: uPlot): void {
    const { left } = plot.cursor;
    if (left === undefined || left < 0) this.#readAt(null);
    else this.#readAt(Math.round(plot.posToVal(left, 'x')));
  }

  #moveCursor(event: KeyboardEvent): void {
    const length = this.#curves?.length ?? 0;
    if (length === 0 || this.#plot === null) return;
    const page = Math.max(1, Math.ceil(length / 20));
    const by: Readonly<Record<string, number>> = { ArrowLeft: -1, ArrowRight: 1, PageDown: -page, PageUp: page };
    const ends: Readonly<Record<string, number>> = { Home: 1, End: length };
    const step = ends[event.key] ?? (event.key in by ? (this.#cursor ?? length) + by[event.key]! : null);
    if (event.key === 'Escape') this.#plot.setCursor({ left: -10, top: -10 });
    if (step === null) return;
    event.preventDefault();
    const inside = Math.min(length, Math.max(1, step));
    this.#plot.setCursor({ left: this.#plot.valToPos(inside, 'x'), top: 10 });
    this.#readAt(inside);
    announce(this.#tipText());
  }

  /** What the tip shows, as a sentence. */
  #tipText(): string {
    const { caption, rows } = this.#tip.querySelector('table')!;
    const figures = Array.from(rows, ({ cells }) => Array.from(cells, cell => cell.textContent).join(' '));
    return `${caption!.textContent}: ${figures.join(', ')}`;
  }

  /** Shows the losses at a step beside the cursor. */
  #readAt(step: number | null): void {
    const made = this.#curves?.length ?? 0;
    const plot = this.#plot;
    if (step === null || made === 0 || plot === null || this.#session === null) {
      this.#cursor = null;
      this.#tip.hidden = true;
      return;
    }
    const inside = Math.min(made, Math.max(1, step));
    this.#cursor = inside;
    const rows = this.#session.rivals.flatMap(({ label }, i) => {
      const loss = this.#curves!.average(i, inside);
      if (loss === null) return [];
      const name = element('th', { scope: 'row', className: `series-${i}`, textContent: label });
      return [{ loss, row: element('tr', {}, name, element('td', { textContent: formatLoss(loss) })) }];
    });
    rows.sort((a, b) => b.loss - a.loss);
    const caption = element('caption', { textContent: `step ${inside}` });
    this.#tip.replaceChildren(element('table', {}, caption, element('tbody', {}, ...rows.map(({ row }) => row))));
    this.#tip.hidden = false;
    const x = plot.over.offsetLeft + plot.valToPos(inside, 'x');
    const toLeft = x + 14 + this.#tip.offsetWidth > this.#holder.clientWidth;
    this.#tip.style.left = `${Math.max(0, toLeft ? x - 14 - this.#tip.offsetWidth : x + 14)}px`;
  }

  #describe(): void {
    const ends = (this.#session?.rivals ?? []).map(({ label }, i) => {
      const end = this.#curves!.end(i);
      return end === null ? `${label}: no step yet` : `${label}: ${formatLoss(end.loss)} after step ${end.step}`;
    });
    const text = ends.length === 0 ? 'Training loss, empty so far' : `Training loss. ${ends.join('; ')}`;
    this.#holder.setAttribute('aria-label', text);
  }
}
