import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { listRecipes } from '@frugaljs/composer';
import { type Browser, chromium, type Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  buildTestPage,
  CHROMIUM_ARGUMENTS,
  findChromium,
  type StaticServer,
  serve,
} from '../../../tools/test-support/browser.js';
import type { LawsPage } from './laws-page/page.js';
import { DEAR, SUITES } from './laws-page/suites.js';

// The laws of every part, and the fused kernels against the reference, on the WebGPU of a browser. One example per law (some
// laws take more by themselves): the adapter may be one in software, which takes a millisecond for every operation.

const executablePath = findChromium();

// `packages/testing/test/webgpu.test.ts` tries the same laws on the WebGPU of Node, where that has a device.
const isNodeEnough = await import('@frugaljs/backend-webgpu/node').then(
  () => true,
  () => false,
);
const suites = Object.keys(SUITES).filter(suite => !(isNodeEnough && DEAR.includes(suite)));

describe.skipIf(executablePath === null)('laws on WebGPU in Chromium', () => {
  let folder: string;
  let server: StaticServer;
  let browser: Browser;
  let page: Page;
  /** Why there is no WebGPU; null if there is. */
  let missing: string | null = null;

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'frugal-laws-'));
    await buildTestPage(fileURLToPath(new URL('laws-page', import.meta.url)), folder);
    server = await serve(folder, "default-src 'self'");
    browser = await chromium.launch({ executablePath: executablePath!, args: [...CHROMIUM_ARGUMENTS] });
    page = await browser.newPage();
    await page.goto(server.url);
    missing = await page.evaluate(() => (globalThis as unknown as { laws: LawsPage }).laws.start());
    if (missing !== null) console.log(`Skipped: this Chromium has no WebGPU adapter. ${missing}`);
  }, 120_000);

  afterAll(async () => {
    await browser?.close();
    await server?.close();
    rmSync(folder, { recursive: true });
  });

  it.for(suites)('%s', { timeout: 600_000 }, async (suite, context) => {
    if (missing !== null) context.skip();
    const outcome = await page.evaluate(
      name => (globalThis as unknown as { laws: LawsPage }).laws.run(name, { numRuns: 1 }),
      suite,
    );
    expect(outcome.backend).toBe('webgpu');
    expect(outcome.broken).toEqual([]);
    expect(outcome.passed.length).toBeGreaterThan(0);
  });

  const difference = (recipe: string) =>
    page.evaluate(name => (globalThis as unknown as { laws: LawsPage }).laws.difference(name), recipe);

  it('qGalore is refused by name, as WebGPU cannot be read at once', async context => {
    if (missing !== null) context.skip();
    await expect(difference('qGalore')).rejects.toThrow(
      /subspace\.refresh\.when at ".*": expected one on which the host knows before an update/,
    );
  });

  const recipes = listRecipes().filter(recipe => recipe !== 'qGalore');
  it.for(recipes)('%s takes the steps of the reference', { timeout: 300_000 }, async (recipe, context) => {
    if (missing !== null) context.skip();
    const { relative, kernels } = await difference(recipe);
    // Matrix products are added up in another order.
    const isDense = /svd|galore|random|dct/.test(recipe);
    expect(relative).toBeLessThan(isDense ? 2e-4 : 5e-6);
    expect(kernels.filter(kernel => kernel.startsWith('fused WGSL')).length).toBeGreaterThan(0);
  });
});
