// Digits like those of MNIST, drawn rather than downloaded: strokes that are turned, scaled and shifted at random, of random
// thickness, with noise on every pixel.
import { randomNumbers } from './random.js';

/** Pixels of a side. */
export const SIZE = 28;

/** @typedef {readonly (readonly [number, number])[]} Stroke corners of a line, x to the right and y down, from 0 to 1 */

/** @type {readonly (readonly Stroke[])[]} */
const STROKES = [
  [
    [
      [0.5, 0.1],
      [0.72, 0.25],
      [0.75, 0.5],
      [0.72, 0.75],
      [0.5, 0.9],
      [0.28, 0.75],
      [0.25, 0.5],
      [0.28, 0.25],
      [0.5, 0.1],
    ],
  ],
  [
    [
      [0.35, 0.25],
      [0.52, 0.1],
      [0.52, 0.9],
    ],
  ],
  [
    [
      [0.27, 0.28],
      [0.4, 0.12],
      [0.62, 0.12],
      [0.73, 0.3],
      [0.65, 0.5],
      [0.27, 0.9],
      [0.75, 0.9],
    ],
  ],
  [
    [
      [0.28, 0.12],
      [0.7, 0.12],
      [0.47, 0.42],
      [0.7, 0.55],
      [0.72, 0.75],
      [0.55, 0.9],
      [0.28, 0.82],
    ],
  ],
  [
    [
      [0.62, 0.9],
      [0.62, 0.1],
      [0.25, 0.63],
      [0.78, 0.63],
    ],
  ],
  [
    [
      [0.7, 0.1],
      [0.33, 0.1],
      [0.3, 0.45],
      [0.58, 0.42],
      [0.73, 0.62],
      [0.6, 0.87],
      [0.28, 0.85],
    ],
  ],
  [
    [
      [0.65, 0.1],
      [0.4, 0.35],
      [0.28, 0.65],
      [0.4, 0.88],
      [0.62, 0.88],
      [0.73, 0.7],
      [0.6, 0.52],
      [0.3, 0.6],
    ],
  ],
  [
    [
      [0.25, 0.12],
      [0.75, 0.12],
      [0.42, 0.9],
    ],
    [
      [0.36, 0.5],
      [0.68, 0.5],
    ],
  ],
  [
    [
      [0.5, 0.48],
      [0.3, 0.3],
      [0.5, 0.1],
      [0.7, 0.3],
      [0.5, 0.48],
      [0.27, 0.7],
      [0.5, 0.9],
      [0.73, 0.7],
      [0.5, 0.48],
    ],
  ],
  [
    [
      [0.7, 0.38],
      [0.4, 0.48],
      [0.27, 0.3],
      [0.4, 0.12],
      [0.62, 0.12],
      [0.71, 0.3],
      [0.66, 0.65],
      [0.45, 0.9],
    ],
  ],
];

/**
 * @param {object} options
 * @param {number} options.count
 * @param {number} options.seed
 * @param {readonly number[]} [options.among] the digits to draw
 * @returns {{ pixels: Float32Array, labels: Int32Array }} images one after the other, from 0 (paper) to 1 (ink), and
 *   which of `among` each shows, as an index into it
 */
export function drawDigits({ count, seed, among = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9] }) {
  const random = randomNumbers(seed);
  const pixels = new Float32Array(count * SIZE * SIZE);
  const labels = new Int32Array(count);
  for (let image = 0; image < count; image++) {
    const label = Math.floor(random() * among.length);
    labels[image] = label;
    draw(STROKES[among[label] ?? 0] ?? [], random, pixels.subarray(image * SIZE * SIZE, (image + 1) * SIZE * SIZE));
  }
  return { pixels, labels };
}

/**
 * @param {readonly Stroke[]} strokes
 * @param {() => number} random
 * @param {Float32Array} into
 */
function draw(strokes, random, into) {
  const around = () => 2 * random() - 1;
  const [turn, scale, width] = [0.25 * around(), 0.85 + 0.15 * around(), 0.05 + 0.02 * around()];
  const [right, down, slant] = [0.08 * around(), 0.08 * around(), 0.2 * around()];
  /** @param {readonly [number, number]} corner */
  const place = ([x, y]) => {
    const [u, v] = [scale * (x - 0.5 + slant * (0.5 - y)), scale * (y - 0.5)];
    const at = [
      0.5 + right + u * Math.cos(turn) - v * Math.sin(turn),
      0.5 + down + u * Math.sin(turn) + v * Math.cos(turn),
    ];
    return /** @type {const} */ ([at[0] ?? 0, at[1] ?? 0]);
  };
  const lines = strokes.map(stroke => stroke.map(place));
  for (let pixel = 0; pixel < SIZE * SIZE; pixel++) {
    const [x, y] = [((pixel % SIZE) + 0.5) / SIZE, (Math.floor(pixel / SIZE) + 0.5) / SIZE];
    const away = Math.min(...lines.map(line => distance(x, y, line)));
    const ink = Math.min(1, Math.max(0, 1 + (width - away) * SIZE));
    into[pixel] = Math.min(1, Math.max(0, ink + 0.15 * around()));
  }
}

/**
 * From a point to a line through corners.
 *
 * @param {number} x
 * @param {number} y
 * @param {Stroke} corners
 */
function distance(x, y, corners) {
  let nearest = Number.POSITIVE_INFINITY;
  for (let i = 1; i < corners.length; i++) {
    const [fromX = 0, fromY = 0] = corners[i - 1] ?? [];
    const [toX = 0, toY = 0] = corners[i] ?? [];
    const [dx, dy] = [toX - fromX, toY - fromY];
    const along = Math.min(1, Math.max(0, ((x - fromX) * dx + (y - fromY) * dy) / (dx * dx + dy * dy)));
    nearest = Math.min(nearest, Math.hypot(x - fromX - along * dx, y - fromY - along * dy));
  }
  return nearest;
}
