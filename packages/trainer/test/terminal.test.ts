import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { ComparisonPace } from '../src/cli/run-comparison.js';
import { caveat, comparisonTable } from '../src/comparison/result.js';
import { Progress, type ProgressState } from '../src/terminal/output.js';
import { formatBytes, formatDuration, formatMilliseconds, textTable, visible, wrap } from '../src/terminal/text.js';
import { RunRecord, smoothed } from '../src/training/train.js';
import { runResult } from './support/comparison.js';

const ESCAPE = '\u001b';

test('bytes, durations and times read well', () => {
  expect([0, 999, 1000, 3_940_608, 999_600, 2e9].map(formatBytes)).toEqual([
    '0 B',
    '999 B',
    '1.00 kB',
    '3.94 MB',
    '1.00 MB',
    '2.00 GB',
  ]);
  expect([0.4, 41, 59.6, 112, 7500].map(formatDuration)).toEqual([
    '0 s',
    '41 s',
    '1 min 00 s',
    '1 min 52 s',
    '2 h 05 min',
  ]);
  expect([null, 0.1234, 99.94, 123.4].map(formatMilliseconds)).toEqual(['–', '0.123', '99.9', '123']);
});

test('columns of a table line up', () => {
  expect(
    textTable(
      ['name', 'n'],
      [
        ['ρ', '12'],
        ['longer', '3'],
      ],
    ).split('\n'),
  ).toEqual(['name      n', '───────────', 'ρ        12', 'longer    3']);
  expect(
    textTable(
      ['a', 'b'],
      [
        ['1', 'x'],
        ['22', 'yy'],
      ],
      ['right', 'left'],
    ).split('\n'),
  ).toEqual([' a   b', '───────', ' 1   x', '22   yy']);
});

test('prose is broken between words', () => {
  expect(wrap('a run of some steps', 8)).toBe('a run of\nsome\nsteps');
  expect(wrap('incomprehensibilities', 8)).toBe('incomprehensibilities');
});

test('the comparison table has a row for every run, with a reason where there is no result', () => {
  const none = { validationLoss: null, perplexity: null };
  const text = comparisonTable({
    runs: [
      runResult(),
      runResult({ optimizer: 'SGD', status: 'diverged', steps: 2, ...none }),
      runResult({
        optimizer: 'Lion',
        status: 'interrupted',
        steps: 0,
        msPerStep: null,
        msPerOptimizerStep: null,
        ...none,
      }),
    ],
  });
  const [header, , adamW, sgd, lion] = text.split('\n');
  expect(header).toMatch(
    /^optimizer +validation loss +perplexity +optimizer state +ms \/ optimizer step +ms \/ training step$/,
  );
  expect(adamW).toMatch(/^AdamW +2\.250 +9\.488 +3\.94 MB +8\.13 +123$/);
  expect(sgd).toMatch(/^SGD +diverged at step 3 +–/);
  expect(lion).toMatch(/^Lion +stopped at step 0 .*–$/);
});

interface Screen {
  written: string[];
  time: number;
  progress: Progress;
}

function screen(isTTY: boolean, columns = 100): Screen {
  const written: string[] = [];
  const state = { written, time: 0 } as Screen;
  const output = { isTTY, columns, write: (text: string) => written.push(text) };
  state.progress = new Progress(output, () => state.time);
  return state;
}

const state = (done: number): ProgressState => ({
  title: '[2/5] FRUGAL ρ=0',
  done,
  total: 400,
  details: ['loss 2.500', '41 s left', '9,000 tokens/s'],
});

test('on a terminal one line is drawn over, not more often than the eye needs', () => {
  const { written, progress } = Object.assign(screen(true));
  progress.update(state(1));
  progress.update(state(2));
  expect(written.length).toBe(1);
  expect(written[0]!.startsWith('\r[2/5] FRUGAL ρ=0  ─')).toBe(true);
  expect(written[0]!.endsWith(`${ESCAPE}[K`)).toBe(true);
  expect(written[0]).not.toContain('\n');
  progress.print('done');
  expect(written.slice(1)).toEqual([`\r${ESCAPE}[K`, 'done\n']);
});

test('a terminal that does not say how wide it is counts as one of 80 columns', () => {
  const unknown = screen(true, 0);
  const usual = screen(true, 80);
  for (const { progress } of [unknown, usual]) progress.update(state(40));
  expect(unknown.written).toEqual(usual.written);
});

test('what a comparison can show is said in whole words', () => {
  expect(caveat({ steps: 1, parameters: 2000 })).toMatch(/^A run of 1 step on 2,000 weights/);
  expect(caveat({ steps: 1500, parameters: 2000 })).toMatch(/^A run of 1,500 steps on/);
});

test('the line never wraps, however narrow the terminal', () => {
  fc.assert(
    fc.property(fc.integer({ min: 4, max: 140 }), fc.integer({ min: 0, max: 400 }), (columns, done) => {
      const { written, progress } = screen(true, columns);
      progress.update(state(done));
      const shown = written[0]!.replace('\r', '').replace(`${ESCAPE}[K`, '');
      expect([...shown].length).toBeLessThan(columns);
    }),
  );
});

test('of what is printed, the terminal obeys nothing but the drawing of a line', () => {
  const hostile = `a${ESCAPE}]0;title\u0007\r\u0008\u009b2J\u007f`;
  const shown = 'a␛]0;title␇␍␈\\x9b2J␡';
  const { written, progress } = screen(true);
  progress.update({ title: hostile, done: 1, total: 2, details: [hostile] });
  progress.print(`${hostile}\n\tb`);
  expect(written[0]).toMatch(/^\r[^\r]*$/);
  expect(written[0]!.split(ESCAPE)).toEqual([expect.stringContaining(shown), '[K']);
  expect(written.slice(1)).toEqual([`\r${ESCAPE}[K`, `${shown}\n\tb\n`]);
});

test('whatever the text, no control character gets through, and nothing else is changed', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), text => {
      expect(visible(text)).not.toMatch(/(?![\n\t])\p{Cc}/u);
      expect(visible(visible(text))).toBe(visible(text));
      const harmless = text.replaceAll(/(?![\n\t])\p{Cc}/gu, '');
      expect(visible(harmless)).toBe(harmless);
    }),
  );
});

test('the bar fills up', () => {
  const filled = [0, 200, 400].map(done => {
    const { written, progress } = screen(true);
    progress.update(state(done));
    return (written[0]!.match(/━/g) ?? []).length / (written[0]!.match(/[━─]/g) ?? []).length;
  });
  expect(filled).toEqual([0, 0.5, 1]);
});

test('elsewhere there are plain lines now and then, and at the start of every run', () => {
  const view = screen(false);
  for (let second = 0; second <= 40; second++) {
    view.time = 1000 * second;
    view.progress.update(state(second));
  }
  view.progress.update({ ...state(1), title: '[3/5] BAdam' });
  view.progress.clear();
  expect(view.written).toEqual([
    '[2/5] FRUGAL ρ=0: 0/400, loss 2.500, 41 s left, 9,000 tokens/s\n',
    '[2/5] FRUGAL ρ=0: 15/400, loss 2.500, 41 s left, 9,000 tokens/s\n',
    '[2/5] FRUGAL ρ=0: 30/400, loss 2.500, 41 s left, 9,000 tokens/s\n',
    '[3/5] BAdam: 1/400, loss 2.500, 41 s left, 9,000 tokens/s\n',
  ]);
});

test('the time left is for all runs together', () => {
  let now = 0;
  const pace = new ComparisonPace({ runs: 3, steps: 10, tokensPerStep: 512 }, () => now);
  const step = (run: number, made: number): void => {
    now += 500;
    pace.add(run, { step: made, loss: 2, learningRate: null, milliseconds: 256, optimizerMilliseconds: 1 });
  };
  for (let made = 1; made <= 10; made++) step(0, made);
  expect(pace.details()).toEqual(['loss 2.000', '10 s left', '2,000 tokens/s']);
  step(1, 1);
  expect(pace.secondsLeft()).toBeCloseTo(9.5, 9);
  expect(pace.runSeconds()).toBeCloseTo(0.256, 9);
});

test('the moving average starts without a bias and stays between the values', () => {
  fc.assert(
    fc.property(
      fc.array(fc.double({ min: 0, max: 10, noNaN: true }), { minLength: 1, maxLength: 50 }),
      fc.integer({ min: 1, max: 40 }),
      (values, span) => {
        const averages = smoothed(values, span);
        expect(averages[0]).toBe(values[0]);
        expect(Math.min(...averages)).toBeGreaterThanOrEqual(Math.min(...values) - 1e-9);
        expect(Math.max(...averages)).toBeLessThanOrEqual(Math.max(...values) + 1e-9);
        if (span === 1) expect(averages).toEqual(values);
      },
    ),
  );
});

test('a record has means and medians', () => {
  const record = new RunRecord();
  expect(record.step).toEqual({ mean: null, median: null });
  for (const [i, milliseconds] of [4, 1, 100, 3].entries()) {
    record.add({ step: i + 1, loss: i, learningRate: null, milliseconds, optimizerMilliseconds: 1 });
  }
  expect(record.step).toEqual({ mean: 27, median: 3.5 });
  expect(record.optimizerStep).toEqual({ mean: 1, median: 1 });
  expect(record.losses).toEqual([0, 1, 2, 3]);
});
