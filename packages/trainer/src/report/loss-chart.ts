import type { RunResult } from '../comparison/result.js';
import { formatCount } from '../terminal/text.js';
import { smoothed } from '../training/train.js';
import { escapeHtml } from './page.js';

/** The size of a chart in CSS pixels, at which its text has its intended size. */
export interface ChartSize {
  readonly width: number;
  readonly height: number;
  /** Whether the names of the curves stand at their ends; else a legend must name them. */
  readonly labels: boolean;
}

const TOP = 14;
const BOTTOM = 44;
const LEFT = 46;
const LABEL_HEIGHT = 17;
const LONGEST_LABEL = 32;
const CHARACTER_WIDTH = 7.9;

/** The fall of the first steps is cut off at this share of the run, or it would press all else into a line. */
const CUT = 0.12;

interface Frame {
  readonly left: number;
  readonly right: number;
  readonly top: number;
  readonly bottom: number;
  readonly steps: number;
  readonly low: number;
  readonly high: number;
}

/** Loss curves as an SVG element, without text for screen readers: the caller gives its id and title. */
export function lossChart(series: readonly Series[], steps: number, id: string, size: ChartSize): string {
  const frame = frameOf(series, steps, size);
  const x = (step: number): number => frame.left + (step / frame.steps) * (frame.right - frame.left);
  const y = (loss: number): number =>
    frame.bottom - ((loss - frame.low) / (frame.high - frame.low)) * (frame.bottom - frame.top);

  const yTicks = roundTicks(frame.low, frame.high, size.height / 70);
  const decimals = Math.max(0, ...yTicks.map(tick => (String(tick).split('.')[1] ?? '').length));
  const gridLines = yTicks.map(
    tick =>
      `<line class="grid" x1="${frame.left}" x2="${frame.right}" y1="${at(y(tick))}" y2="${at(y(tick))}"/>` +
      `<text class="tick" x="${frame.left - 8}" y="${at(y(tick) + 4)}" text-anchor="end">${tick.toFixed(decimals)}</text>`,
  );
  const xTicks = roundTicks(0, steps, size.width / 130).filter(Number.isInteger);
  const stepLabels = xTicks.map(
    tick =>
      `<text class="tick" x="${at(x(tick))}" y="${frame.bottom + 20}" text-anchor="middle">${formatCount(tick)}</text>`,
  );
  const curves = series.map(({ values, index }) => {
    const points = values.map((value, i) => `${at(x(i + 1))} ${at(y(value))}`).join('L');
    return `<path class="curve ${colorClass(index)}" data-series="${index}" d="M${points}"/>`;
  });
  const middle = (frame.left + frame.right) / 2;
  return [
    `<svg id="${id}" class="chart ${size.labels ? 'wide' : 'narrow'}" viewBox="0 0 ${size.width} ${size.height}" `,
    `role="img" aria-labelledby="chart-title" aria-describedby="chart-text" tabindex="0" `,
    `data-left="${frame.left}" data-right="${frame.right}" data-steps="${frame.steps}">`,
    `<clipPath id="${id}-clip"><rect x="${frame.left}" y="${frame.top}" width="${frame.right - frame.left + 6}" `,
    `height="${frame.bottom - frame.top}"/></clipPath>`,
    ...gridLines,
    `<line class="axis" x1="${frame.left}" x2="${frame.right}" y1="${frame.bottom}" y2="${frame.bottom}"/>`,
    ...stepLabels,
    `<text class="tick" x="${at(middle)}" y="${frame.bottom + 39}" text-anchor="middle">training step</text>`,
    `<g clip-path="url(#${id}-clip)">${curves.join('')}</g>`,
    ...endMarks(series, x, y, frame, size),
    `<line class="cursor" x1="0" x2="0" y1="${frame.top}" y2="${frame.bottom}" visibility="hidden"/>`,
    '</svg>',
  ].join('');
}

function frameOf(series: readonly Series[], steps: number, { width, height, labels }: ChartSize): Frame {
  const cut = Math.floor(CUT * steps);
  let low = Math.min(...series.map(({ values }) => Math.min(...values)));
  let high = Math.max(...series.map(({ values }) => Math.max(...values.slice(Math.min(cut, values.length - 1)))));
  if (series.length === 0) [low, high] = [0, 1];
  const padding = 0.05 * (high - low) || 0.5;
  const longest = Math.max(0, ...series.map(({ label }) => [...shortened(label)].length));
  const right = width - (labels ? 26 + CHARACTER_WIDTH * longest : 14);
  return { left: LEFT, right, top: TOP, bottom: height - BOTTOM, steps, low: low - padding, high: high + padding };
}

/** A marker where each curve ends, and its name beside it, moved apart where names would overlap. */
function endMarks(
  series: readonly Series[],
  x: (step: number) => number,
  y: (loss: number) => number,
  frame: Frame,
  { labels }: ChartSize,
): string[] {
  const ends = series
    .map(({ label, index, values }) => ({ label, index, step: values.length, last: y(values.at(-1)!) }))
    .filter(({ last }) => last >= frame.top && last <= frame.bottom);
  const marks = ends.map(
    ({ index, step, last }) =>
      `<path class="end ${colorClass(index)}" data-series="${index}" transform="translate(${at(x(step))} ${at(last)})" ` +
      `d="${markerPath(index)}"/>`,
  );
  if (!labels) return marks;
  const placed = [...ends].sort((a, b) => a.last - b.last);
  const heights = spread(
    placed.map(({ last }) => last),
    frame.top + 6,
    frame.bottom - 6,
  );
  const names = placed.map(
    ({ label, index, step, last }, i) =>
      `<path class="leader ${colorClass(index)}" data-series="${index}" ` +
      `d="M${at(x(step) + 7)} ${at(last)}L${frame.right + 16} ${at(heights[i]!)}"/>` +
      `<text class="name ${colorClass(index)}" data-series="${index}" x="${frame.right + 20}" y="${at(heights[i]! + 4)}">` +
      `${escapeHtml(shortened(label))}</text>`,
  );
  return [...names, ...marks];
}

/** Sorted heights, moved as little as a pass down and a pass up need to keep a line's height between them. */
function spread(wanted: readonly number[], top: number, bottom: number): number[] {
  const heights = [...wanted];
  for (let i = 0; i < heights.length; i++) {
    heights[i] = Math.max(heights[i]!, i === 0 ? top : heights[i - 1]! + LABEL_HEIGHT);
  }
  for (let i = heights.length - 1; i >= 0; i--) {
    heights[i] = Math.min(heights[i]!, i === heights.length - 1 ? bottom : heights[i + 1]! - LABEL_HEIGHT);
  }
  return heights;
}

function shortened(label: string): string {
  const characters = [...label];
  return characters.length <= LONGEST_LABEL ? label : `${characters.slice(0, LONGEST_LABEL - 1).join('')}…`;
}

/** A coordinate: a tenth of a pixel is enough. */
function at(value: number): string {
  return String(Math.round(value * 10) / 10);
}

/**
 * Round numbers that divide an interval: multiples of 1, 2 or 5 times a power of ten, about `count` of them.
 */
export function roundTicks(low: number, high: number, count: number): number[] {
  const rough = (high - low) / Math.max(1, count);
  if (!(rough > 0)) return [low];
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = power * ([1, 2, 5, 10].find(factor => factor * power >= rough * 0.999) ?? 10);
  const first = Math.ceil(low / step - 1e-9);
  const last = Math.floor(high / step + 1e-9);
  // Multiplied rather than added up, and rounded, so that 0.3 is 0.3.
  return Array.from({ length: Math.max(0, last - first + 1) }, (_, i) => Number(((first + i) * step).toPrecision(12)));
}

/** A run as a curve. */
export interface Series {
  readonly label: string;
  /** Place in the comparison: decides color and marker. */
  readonly index: number;
  /** Smoothed training loss after each step. */
  readonly values: readonly number[];
}

/** Steps that the moving average of the curves reaches back. */
export function smoothingSpan(steps: number): number {
  return Math.max(1, Math.round(steps / 20));
}

/** The curves of a comparison, each up to its first loss that is not finite; a run without a step has none. */
export function seriesOf(runs: readonly RunResult[], span: number): Series[] {
  return runs.flatMap(({ optimizer: label, losses }, index) => {
    const broken = losses.findIndex(loss => !Number.isFinite(loss));
    const drawn = broken < 0 ? losses : losses.slice(0, broken);
    return drawn.length === 0 ? [] : [{ label, index, values: smoothed(drawn, span) }];
  });
}

const MARKERS = [
  'M-4.5 0a4.5 4.5 0 1 0 9 0a4.5 4.5 0 1 0 -9 0Z',
  'M-4 -4H4V4H-4Z',
  'M0 -5.2L4.8 3.6H-4.8Z',
  'M0 -5.4L5.4 0L0 5.4L-5.4 0Z',
  'M0 5.2L4.8 -3.6H-4.8Z',
  'M-1.7 -5H1.7V-1.7H5V1.7H1.7V5H-1.7V1.7H-5V-1.7H-1.7Z',
];

/** Number of colors in the style sheet. */
const COLORS = 8;

/** The shape that stands for a run besides its color, as an SVG path around the origin. */
function markerPath(index: number): string {
  return MARKERS[index % MARKERS.length]!;
}

/** The class that gives a run its color. */
export function colorClass(index: number): string {
  return `series-${index % COLORS}`;
}

/** The marker as a small picture for legends and tables. */
export function markerIcon(index: number): string {
  return (
    `<svg class="marker ${colorClass(index)}" viewBox="-7 -7 14 14" aria-hidden="true">` +
    `<path d="${markerPath(index)}"/></svg>`
  );
}
