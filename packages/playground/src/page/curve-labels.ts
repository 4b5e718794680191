import type uPlot from 'uplot';
import { markerPath } from './element.js';

/** A curve's end, where its name is to stand. */
export interface CurveEnd {
  readonly place: number;
  readonly label: string;
  readonly color: string;
  readonly step: number;
  readonly loss: number;
}

const LINE = 17;
const GAP = 11;

/** Draws a mark at the end of each curve and its name beside it, apart where names would overlap. */
export function drawCurveEnds(plot: uPlot, ends: readonly CurveEnd[], names: boolean): void {
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
export function namesWidth(labels: readonly string[]): number {
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
