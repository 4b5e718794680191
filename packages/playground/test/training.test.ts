import { bytesSource, openArchive, SafetensorsReader } from '@frugaljs/checkpoint';
import { recipe } from '@frugaljs/composer';
import { byteTokenizer, LlamaForCausalLM, parameterSpecs, preset, splitTail, TokenDataset } from '@frugaljs/llama';
import '@frugaljs/backend-wasm';
import '@tensorflow/tfjs-layers';
import { setBackend } from '@tensorflow/tfjs-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { findChromium } from '../../../tools/test-support/browser.js';
import { tales } from '../src/worker/text.js';
import { eventually } from './support/eventually.js';
import { openVisits, type Visits } from './support/visit.js';

const chromium = findChromium();
const config = preset('nano');
const [BATCH, CONTEXT, SEED] = [4, 32, 1];

/** The built-in text, as the page divides it. */
const TALES = splitTail(tales(200_000), 0.1, 'tales');

/** The batches that the page draws from these documents. */
function datasetOf(documents: readonly string[]): TokenDataset {
  const corpus = { name: 'text', origin: 'test', train: documents, validation: documents };
  const options = { batchSize: BATCH, sequenceLength: CONTEXT, seed: SEED };
  return TokenDataset.fromCorpus(corpus, byteTokenizer(), options);
}

/** The loss that the page's model has before its first step, computed here. */
async function firstLoss(documents: readonly string[]): Promise<number> {
  await setBackend('wasm');
  const model = new LlamaForCausalLM(config, { seed: SEED });
  const loss = model.loss(datasetOf(documents).trainBatch(0));
  const [value] = await loss.data();
  loss.dispose();
  model.dispose();
  return value!;
}

const mean = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0) / values.length;

describe.skipIf(chromium === null)('the page', { timeout: 240_000 }, () => {
  let visits: Visits;
  /** Of an uninterrupted run. */
  let curves: number[][];

  beforeAll(async () => {
    visits = await openVisits(chromium!);
  }, 120_000);
  afterAll(() => visits?.close());

  it('trains 30 steps with two optimizers, without a complaint or a request to anywhere else', async () => {
    const visit = await visits.open();
    await visit.setUp();
    const parameters = parameterSpecs(config);
    const reports = [
      recipe('adamW').memoryReport(parameters),
      recipe('frugal', { density: 0.25, projector: 'rows' }).memoryReport(parameters),
    ];
    const expected = reports.flatMap(report => {
      const bytes = report.reduce((sum, row) => sum + row.parameterBytes, 0);
      return [bytes, bytes, report.totalStateBytes];
    });
    const shown = (): Promise<number[]> => visit.page.locator('#memory td[data-bytes]').evaluateAll(readBytes);
    await eventually(shown).toEqual(expected);
    await visit.start();
    await visit.finished();

    curves = await visit.losses();
    expect(curves.map(({ length }) => length)).toEqual([30, 30]);
    for (const losses of curves) {
      expect(losses[0]).toBeCloseTo(Math.log(257), 1);
      expect(mean(losses.slice(-5))).toBeLessThan(mean(losses.slice(0, 5)) - 1);
    }
    // The same weights and the same batch: the first losses agree, the later ones do not.
    expect(curves[0]![0]).toBe(curves[1]![0]);
    expect(curves[0]![20]).not.toBe(curves[1]![20]);

    expect(await shown()).toEqual(expected);
    const widths = await visit.page
      .locator('#memory .segment')
      .evaluateAll(segments => segments.map(segment => Number.parseFloat((segment as HTMLElement).style.width)));
    const longest = Math.max(mean(expected.slice(0, 3)) * 3, mean(expected.slice(3)) * 3);
    for (const [i, width] of widths.entries()) expect(width).toBeCloseTo((100 * expected[i]!) / longest, 3);

    const written = await visit.page.locator('.samples li:first-child').allTextContents();
    expect(written).toHaveLength(2);
    for (const text of written) expect(text).toMatch(/^step 30The .{20}/s);
    await eventually(() => visit.page.locator('.speed').allTextContents()).toEqual([
      expect.stringMatching(/^[\d,]+ tokens\/s$/),
      expect.stringMatching(/^[\d,]+ tokens\/s$/),
    ]);
    expect(visit.complaints).toEqual([]);
    expect(visit.external).toEqual([]);
    expect(visit.requests.some(request => request.endsWith('.wasm'))).toBe(true);
    expect(visits.violations).toEqual([]);
  });

  it('trains on the built-in text', async () => {
    expect(curves[0]![0]).toBeCloseTo(await firstLoss(TALES.train), 5);
  });

  it('continues the same curve after a pause', async () => {
    const visit = await visits.open();
    await visit.setUp();
    await visit.start();
    await visit.pausedAfter(6);
    await visit.page.locator('#status').filter({ hasText: 'Paused' }).waitFor();
    expect(await visit.restingStep()).toBeLessThan(30);
    await visit.page.getByRole('button', { name: 'Resume' }).click();
    await visit.finished();
    expect(await visit.losses()).toEqual(curves);
    expect(visit.complaints).toEqual([]);
  });

  it('starts over after a reset, and repeats the curve', async () => {
    const visit = await visits.open();
    await visit.setUp();
    await visit.start();
    await visit.reached(3);
    await visit.page.getByRole('button', { name: 'Reset' }).click();
    expect(await visit.step).toBe(0);
    expect(await visit.page.locator('#status').textContent()).toBe('Ready');
    await visit.start();
    await visit.finished();
    expect(await visit.losses()).toEqual(curves);
  });

  it('trains on a text that is dropped on it', async () => {
    const visit = await visits.open();
    await visit.setUp({ steps: 12 });
    const line = 'to be or not to be, that is the question\n';
    const content = line.repeat(100);
    const transfer = await visit.page.evaluateHandle(text => {
      const made = new DataTransfer();
      made.items.add(new File([text], 'question.txt', { type: 'text/plain' }));
      return made;
    }, content);
    await visit.page.dispatchEvent('body', 'dragover', { dataTransfer: transfer });
    await visit.page.dispatchEvent('body', 'drop', { dataTransfer: transfer });
    await visit.page.locator('#text-status').filter({ hasText: 'question.txt' }).waitFor();
    await eventually(() => visit.page.locator('#text-status').textContent()).toBe(
      `question.txt, 4.10\u00a0kB: ${(90 * line.length + 1).toLocaleString('en')} tokens to train on.`,
    );
    await visit.start();
    await visit.finished();
    const [losses] = await visit.losses();
    expect(losses![0]).toBeCloseTo(await firstLoss([line.repeat(90)]), 5);
    expect(visit.complaints).toEqual([]);
    expect(visit.external).toEqual([]);
  });

  it('gives away checkpoints and weights that fit elsewhere, and training continues from them', async () => {
    const visit = await visits.open();
    await visit.setUp();
    await visit.start();
    await visit.pausedAfter(4);
    await visit.restingStep();
    const { name, bytes } = await visit.download('Checkpoint, FRUGAL');
    const weights = await visit.download('Weights, FRUGAL');
    const step = await visit.step;
    expect(name).toBe(`frugal-0.25-step-${step}.tar`);

    await setBackend('wasm');
    const saved = await openArchive(bytesSource(bytes, name));
    expect(saved.step).toBe(step);
    const model = new LlamaForCausalLM((await saved.config()) as unknown as typeof config, { seed: 99 });
    const settings = { density: 0.25, projector: 'rows', updateGap: 20, seed: SEED };
    const stateFull = { kind: 'adamW', options: { beta2: 0.95 } };
    const schedule = { kind: 'warmupCosine', options: { peak: 0.004, warmup: 3, total: 30, floor: 0.1, cycle: 30 } };
    const optimizer = recipe('frugal', { ...settings, stateFull, learningRate: schedule });
    const { warnings, differences, trainer } = await saved.restore({ model: model.parameters(), optimizer });
    expect([warnings, differences]).toEqual([[], []]);
    expect(trainer).toEqual({ losses: curves[1]!.slice(0, step) });
    expect(optimizer.updates).toBe(step);

    const reader = await SafetensorsReader.open(bytesSource(weights.bytes, weights.name));
    for (const [key, variable] of Object.entries(model.parameters())) {
      expect(await reader.readFloat32(key)).toEqual(await variable.data());
    }
    await reader.close();

    // The page's next steps, made here.
    const data = datasetOf(TALES.train);
    for (let i = step; i < step + 3; i++) {
      const loss = optimizer.minimize(() => model.loss(data.trainBatch(i)), true)!;
      expect((await loss.data())[0]).toBeCloseTo(curves[1]![i]!, 5);
      loss.dispose();
    }
    optimizer.dispose();
    model.dispose();
    expect(visit.complaints).toEqual([]);
  });
});

function readBytes(cells: readonly Element[]): number[] {
  return cells.map(cell => Number((cell as HTMLElement).dataset['bytes']));
}
