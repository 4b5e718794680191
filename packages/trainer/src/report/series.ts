import type { RunResult } from '../comparison/result.js';
import { smoothed } from '../training/smoothed-loss.js';

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
export function markerPath(index: number): string {
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
