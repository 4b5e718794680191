import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { findChromium } from '../../../tools/test-support/browser.js';
import { eventually } from './support/eventually.js';
import { openVisits, type Visits } from './support/visit.js';

const chromium = findChromium();
const STEPS = 8;

describe.skipIf(chromium === null)('on WebGPU', () => {
  let visits: Visits;

  beforeAll(async () => {
    visits = await openVisits(chromium!);
  }, 120_000);
  afterAll(() => visits?.close());

  it('the page follows the curves of WebAssembly, without a complaint', { timeout: 600_000 }, async context => {
    const visit = await visits.open();
    const { page } = visit;
    await visit.setUp({ steps: STEPS, backend: 'webgpu', sampleLength: 4 });
    const note = await page.locator('#backend-note').textContent();
    if (!note!.startsWith('Will train on WebGPU')) {
      console.log(`Skipped: this Chromium has no WebGPU adapter. The page says: ${note}`);
      context.skip();
    }
    await visit.start();
    await visit.finished(500_000);
    expect(await page.locator('#backend').textContent()).toBe('WebGPU');
    const curves = await visit.losses();
    await page.getByRole('button', { name: 'Reset' }).click();
    await page.getByLabel('Backend').selectOption('wasm');
    await visit.start();
    await visit.finished();
    const expected = await visit.losses();

    for (const [i, losses] of curves.entries()) {
      expect(losses).toHaveLength(STEPS);
      expect(losses.at(-1)!).toBeLessThan(losses[0]!);
      for (const [step, loss] of losses.entries()) {
        expect(Math.abs(loss - expected[i]![step]!), `optimizer ${i}, step ${step}`).toBeLessThan(1e-3);
      }
    }
    expect(visit.complaints).toEqual([]);
    expect(visit.external).toEqual([]);
    expect(visits.violations).toEqual([]);
  });

  it('the page says when the device is lost, and starts again', { timeout: 240_000 }, async context => {
    const visit = await visits.open();
    const { page } = visit;
    await visit.setUp({ steps: 500, backend: 'webgpu', sampleLength: 1 });
    if (!(await page.locator('#backend-note').textContent())!.startsWith('Will train on WebGPU')) context.skip();
    await visit.start();
    const alert = page.getByRole('alert');
    const lost = alert.filter({ hasText: /^The graphics device was lost.* Start again, or .* WebAssembly\.$/ });
    await visit.reached(2);
    await visits.crashGraphics();
    await lost.waitFor();
    await eventually(() => page.locator('#status').textContent()).toBe('Stopped by an error');
    await page.getByRole('button', { name: 'Start again' }).click();
    await page.locator('#status').filter({ hasText: /^Step/ }).waitFor({ timeout: 60_000 });
    expect(await alert.isVisible()).toBe(false);

    // Also while nobody asks anything of the device.
    await visit.reached(1);
    await page.getByRole('button', { name: 'Pause' }).click();
    await visit.restingStep();
    await visits.crashGraphics();
    await lost.waitFor();
    expect(await page.locator('#status').textContent()).toBe('Stopped by an error');
    expect(visit.complaints).toEqual([]);
  });
});
