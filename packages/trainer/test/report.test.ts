import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { roundTicks } from '../src/report/loss-chart.js';
import { comparisonReport } from '../src/report/report.js';
import { comparisonOf, runResult } from './support/comparison.js';

const frugal = runResult({ optimizer: 'FRUGAL ρ=0', recipe: 'frugal', stateBytes: 394_000, losses: [5.5, 4, 3, 2] });

test('the report has the curves, the results and the settings', () => {
  const page = comparisonReport(comparisonOf([runResult(), frugal]));
  expect(page).toMatch(/^<!doctype html>/);
  expect(page.match(/class="curve /g)!.length).toBe(4); // two curves, for wide and narrow windows
  expect(page).toMatch(/<tr role="row"[^>]*data-run="1".*?FRUGAL ρ=0.*?2\.250.*?394 kB.*?8\.13.*?123/s);
  expect(page).toContain('class="bar"');
  expect(page).toContain('width:10.0%');
  expect(page).toContain('492,576 weights');
  expect(page).toContain('10\u00a0% of that');
  expect(page).toContain('it does not rank them');
});

test('the report asks for nothing from anywhere', () => {
  const page = comparisonReport(comparisonOf([runResult(), frugal]));
  expect(page).not.toMatch(/https?:|\/\/[a-z]+\.|@import|url\((?!#)/i);
  expect(page).not.toMatch(
    /<(?:img|iframe|object|embed|base)\b|<script[^>]*\bsrc=|\bsrcset=|\bfetch\(|XMLHttpRequest/i,
  );
  expect([...page.matchAll(/href="([^"]*)"/g)].map(([, address]) => address)).toEqual(['data:,']);
});

test('names cannot become markup', () => {
  const name = '</script><b onclick="x">&\'';
  const page = comparisonReport(comparisonOf([runResult({ optimizer: name, options: { rule: name } })]));
  expect(page).not.toContain('<b onclick');
  expect(page.match(/<\/script>/g)!.length).toBe(2);
  const curves = /<script type="application\/json" id="curves">(.*?)<\/script>/s.exec(page)![1]!;
  expect(JSON.parse(curves)[0].label).toBe(name);
});

test('control characters are shown', () => {
  const hostile = 'a\u001b]0;title\u0007\u009b2J\u007f';
  const comparison = comparisonOf([runResult({ optimizer: hostile, options: { rule: hostile } }), frugal]);
  const { settings } = comparison;
  const page = comparisonReport({
    ...comparison,
    settings: { ...settings, data: { ...settings.data, name: hostile } },
  });
  expect(page).not.toMatch(/(?![\n\t])\p{Cc}/u);
  expect(page).toContain('batches of a␛]0;title␇\\x9b2J␡.');
  const [curve] = JSON.parse(/id="curves">(.*?)<\/script>/s.exec(page)![1]!);
  expect(curve.label).toBe('a␛]0;title␇\\x9b2J␡');
});

test('the data behind the curves is the smoothed loss of every step', () => {
  const page = comparisonReport(comparisonOf([runResult()]));
  const curves = JSON.parse(/id="curves">(.*?)<\/script>/s.exec(page)![1]!);
  expect(curves[0].values).toEqual([5.5, 4.5, 3.5, 2.5]); // over 4 steps nothing is averaged
});

test('the script is a program that compiles', () => {
  const page = comparisonReport(comparisonOf([runResult()]));
  const script = /<script>(.*?)<\/script>/s.exec(page)![1]!;
  expect(() => new Function(script)).not.toThrow();
});

test('unfinished, diverged and empty runs have a place too', () => {
  const none = { validationLoss: null, perplexity: null };
  const page = comparisonReport(
    comparisonOf(
      [
        runResult({ optimizer: 'SGD', status: 'diverged', steps: 2, losses: [5.5, Number.NaN], ...none }),
        runResult({ optimizer: 'Lion', status: 'interrupted', steps: 0, losses: [], msPerStep: null, ...none }),
      ],
      true,
    ),
  );
  expect(page).toContain('interrupted: it shows what had been done');
  expect(page).toContain('diverged at step 3');
  expect(page).toContain('stopped at step 0');
  expect(page.replace(/<script.*<\/script>/s, '')).not.toMatch(/NaN|Infinity|undefined/);
});

test('ticks are round, inside the interval and about as many as wanted', () => {
  expect(roundTicks(2.1, 3.4, 4)).toEqual([2.5, 3]);
  expect(roundTicks(0, 1, 5)).toEqual([0, 0.2, 0.4, 0.6, 0.8, 1]);
  expect(roundTicks(3, 3, 5)).toEqual([3]);
  fc.assert(
    fc.property(
      fc.double({ min: -100, max: 100, noNaN: true }),
      fc.double({ min: 0.001, max: 1000, noNaN: true }),
      fc.integer({ min: 1, max: 12 }),
      (low, size, count) => {
        const ticks = roundTicks(low, low + size, count);
        expect(ticks.length).toBeLessThanOrEqual(count + 2);
        for (const tick of ticks) {
          expect(tick).toBeGreaterThanOrEqual(low - size * 1e-6);
          expect(tick).toBeLessThanOrEqual(low + size * (1 + 1e-6));
        }
      },
    ),
  );
});
