import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';

/** The custom properties of a block of the style sheet. */
function colorsOf(block: string): Record<string, string> {
  return Object.fromEntries(
    [...block.matchAll(/--([\w-]+): (#[0-9a-f]{6});/g)].map(([, name, color]) => [name, color]),
  );
}

/** WCAG 2.2, "relative luminance". */
function luminance(color: string): number {
  const [red, green, blue] = [1, 3, 5].map(at => {
    const channel = Number.parseInt(color.slice(at, at + 2), 16) / 255;
    return channel <= 0.04045 ? channel / 12.92 : ((channel + 0.055) / 1.055) ** 2.4;
  }) as [number, number, number];
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
}

function contrast(a: string, b: string): number {
  const [low, high] = [luminance(a), luminance(b)].sort((x, y) => x - y) as [number, number];
  return (high + 0.05) / (low + 0.05);
}

const css = readFileSync(new URL('../src/style/tokens.css', import.meta.url), 'utf8');
const [light, dark] = css.split('@media (prefers-color-scheme: dark)') as [string, string];

it.each([
  ['light', colorsOf(light)],
  ['dark', { ...colorsOf(light), ...colorsOf(dark) }],
])('text and controls have the contrast of level AA: %s', (_, colors) => {
  const failures: string[] = [];
  const require = (front: string, back: string, least: number): void => {
    const found = contrast(colors[front]!, colors[back]!);
    if (found < least) failures.push(`${front} on ${back}: ${found.toFixed(2)} < ${least}`);
  };
  for (const back of ['card', 'page', 'field']) {
    for (const front of ['ink', 'soft', 'alert', 'c0', 'c1', 'c2', 'c3']) require(front, back, 4.5);
    for (const front of ['edge', 'focus']) require(front, back, 3);
  }
  require('alert', 'alert-back', 4.5);
  require('action-ink', 'action', 4.5);
  expect(failures).toEqual([]);
});
