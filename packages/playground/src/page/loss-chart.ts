import uPlot, { type AlignedData } from 'uplot';
import type { Run } from '../session/run.js';
import type { Session } from '../session/session.js';
import { announce, element, markerPath } from './element.js';
import { formatLoss } from './format.js';

import 'uplot/dist/uPlot.min.css';

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
    this.#curves = session === null ? null : new LossCurves(session.runs);
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
    const count = this.#session?.runs.length ?? 0;
    const named = width >= NARROW;
    const labels = this.#session?.runs.map(({ label }) => label) ?? this.#labels();
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
    const ends = (this.#session?.runs ?? []).flatMap(({ label }, place) => {
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
    const rows = this.#session.runs.flatMap(({ label }, i) => {
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
    const ends = (this.#session?.runs ?? []).map(({ label }, i) => {
      const end = this.#curves!.end(i);
      return end === null ? `${label}: no step yet` : `${label}: ${formatLoss(end.loss)} after step ${end.step}`;
    });
    const text = ends.length === 0 ? 'Training loss, empty so far' : `Training loss. ${ends.join('; ')}`;
    this.#holder.setAttribute('aria-label', text);
  }
}

/** The fall of the first steps is cut off at this share of what was made, or it would press all else into a line. */
const CUT = 0.12;

/** The curves of a comparison as the chart takes them: steps, then loss and average of each optimizer. */
class LossCurves {
  readonly #steps: number[] = [];
  readonly #raw: (number | null)[][];
  readonly #smooth: (number | null)[][];
  readonly #runs: readonly Run[];

  constructor(runs: readonly Run[]) {
    this.#runs = runs;
    this.#raw = runs.map(() => []);
    this.#smooth = runs.map(() => []);
  }

  /** Steps in the curves. */
  get length(): number {
    return this.#steps.length;
  }

  /** Takes in the steps made since the last call. */
  update(step: number): void {
    while (this.#steps.length < step) {
      const made = this.#steps.length;
      this.#steps.push(made + 1);
      for (const [i, { losses, averages }] of this.#runs.entries()) {
        this.#raw[i]!.push(losses[made] ?? null);
        this.#smooth[i]!.push(averages[made] ?? null);
      }
    }
  }

  get data(): AlignedData {
    return [this.#steps, ...this.#raw, ...this.#smooth];
  }

  /** The average of a curve after so many steps; null before the first and after a divergence. */
  average(index: number, step: number): number | null {
    return this.#smooth[index]?.[step - 1] ?? null;
  }

  /** The last step and average of a curve; null if it has none. */
  end(index: number): { readonly step: number; readonly loss: number } | null {
    const curve = this.#smooth[index] ?? [];
    // A curve has no gaps: it ends where it diverged.
    let length = curve.length;
    while (length > 0 && curve[length - 1] === null) length--;
    return length === 0 ? null : { step: length, loss: curve[length - 1]! };
  }

  /** Losses to show, from bottom to top. */
  range(): [low: number, high: number] {
    const cut = Math.floor(CUT * this.length);
    let low = Number.POSITIVE_INFINITY;
    let high = Number.NEGATIVE_INFINITY;
    for (const curve of this.#smooth) {
      for (let i = 0; i < curve.length; i++) {
        const loss = curve[i]!;
        if (loss === null) continue;
        if (loss < low) low = loss;
        if (i >= cut && loss > high) high = loss;
      }
    }
    if (!(low <= high)) return [0, 6];
    const padding = Math.max(0.05, 0.08 * (high - low));
    return [Math.max(0, low - padding), high + padding];
  }
}

/** A curve's end, where its name is to stand. */
interface CurveEnd {
  readonly place: number;
  readonly label: string;
  readonly color: string;
  readonly step: number;
  readonly loss: number;
}

const LINE = 17;
const GAP = 11;

/** Draws a mark at the end of each curve and its name beside it, apart where names would overlap. */
function drawCurveEnds(plot: uPlot, ends: readonly CurveEnd[], names: boolean): void {
  const { ctx, bbox } = plot;
  const ratio = devicePixelRatio;
  const placed = ends
    .map(end => ({ end, x: plot.valToPos(end.step, 'x', true), y: plot.valToPos(end.loss, 'y', true) }))
    .filter(({ y }) => y >= bbox.top && y <= bbox.top + bbox.height)
    .sort((a, b) => a.y - b.y);
  const heights = spread(
    placed.map(({ y }) => y),
    bbox.top,
    bbox.top + bbox.height,
    LINE * ratio,
  );
  ctx.save();
  ctx.font = `600 ${12.5 * ratio}px ${getComputedStyle(document.body).fontFamily}`;
  ctx.textBaseline = 'middle';
  ctx.textAlign = 'left';
  for (const [i, { end, x, y }] of placed.entries()) {
    ctx.fillStyle = end.color;
    ctx.save();
    ctx.translate(x, y);
    ctx.scale(ratio, ratio);
    ctx.fill(new Path2D(markerPath(end.place)));
    ctx.restore();
    if (names) ctx.fillText(end.label, x + GAP * ratio, heights[i]!);
  }
  ctx.restore();
}

/** The width that the names need, in CSS pixels. */
function namesWidth(labels: readonly string[]): number {
  const context = document.createElement('canvas').getContext('2d')!;
  context.font = `600 12.5px ${getComputedStyle(document.body).fontFamily}`;
  return GAP + 6 + Math.max(0, ...labels.map(label => context.measureText(label).width));
}

/** Sorted heights, moved as little as a pass down and a pass up need to keep a line between them. */
function spread(wanted: readonly number[], top: number, bottom: number, line: number): number[] {
  const heights = [...wanted];
  for (let i = 0; i < heights.length; i++) {
    heights[i] = Math.max(heights[i]!, i === 0 ? top : heights[i - 1]! + line);
  }
  for (let i = heights.length - 1; i >= 0; i--) {
    heights[i] = Math.min(heights[i]!, i === heights.length - 1 ? bottom : heights[i + 1]! - line);
  }
  return heights;
}

/** Colors of the style sheet, as the canvas needs them. */
interface Palette {
  readonly soft: string;
  readonly rule: string;
  readonly card: string;
  readonly series: readonly string[];
}

/** Optimizers that have a color of their own. */
const SERIES = 4;

/** The colors in force: they change with the reader's light or dark scheme. */
function readPalette(): Palette {
  const style = getComputedStyle(document.documentElement);
  const color = (name: string): string => style.getPropertyValue(`--${name}`).trim();
  return {
    soft: color('soft'),
    rule: color('rule'),
    card: color('card'),
    series: Array.from({ length: SERIES }, (_, i) => color(`c${i}`)),
  };
}
