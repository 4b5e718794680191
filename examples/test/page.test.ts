// The page, built by its own vite.config.js with the packages from their sources, and visited.
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { chromium } from 'playwright-core';
import { build, defaultClientConditions } from 'vite';
import { describe, expect, it } from 'vitest';
import { CHROMIUM_ARGUMENTS, findChromium, serve } from '../../tools/test-support/browser.js';

const executablePath = findChromium();
const root = fileURLToPath(new URL('../vite-page', import.meta.url));
const policy = "default-src 'self'; script-src 'self' 'wasm-unsafe-eval'; img-src 'self' data:";

describe.skipIf(executablePath === null)('vite-page', () => {
  it('trains in the tab and shows the table', { timeout: 240_000 }, async () => {
    const folder = mkdtempSync(join(tmpdir(), 'frugal-page-'));
    await build({
      root,
      logLevel: 'error',
      resolve: { conditions: ['@frugaljs/source', ...defaultClientConditions] },
      build: { outDir: folder, emptyOutDir: true },
    });
    const server = await serve(folder, policy);
    const browser = await chromium.launch({ executablePath: executablePath!, args: [...CHROMIUM_ARGUMENTS] });
    try {
      const page = await browser.newPage({ viewport: { width: 800, height: 600 } });
      const complaints: string[] = [];
      page.on('console', message => {
        if (['error', 'warning'].includes(message.type())) complaints.push(message.text());
      });
      page.on('pageerror', error => complaints.push(String(error)));
      await page.goto(server.url);
      const train = page.getByRole('button', { name: 'Train' });
      const status = page.getByRole('status');

      await page.getByLabel('Steps').fill('1');
      await status.filter({ hasText: 'Ready.' }).waitFor({ timeout: 60_000 });
      await train.click();
      expect(await status.textContent()).toBe('Ready.'); // 1 is too few: the browser says so

      // Twice: what a run leaves behind must not stop the next.
      for (const steps of ['20', '30']) {
        await page.getByLabel('Steps').fill(steps);
        await train.click();
        await status.filter({ hasText: `Digits, ${steps} steps of 32 images, seed 1` }).waitFor({ timeout: 120_000 });
      }
      const rows = await page.locator('tr').allTextContents();
      expect(rows).toHaveLength(4);
      const cells = await page
        .locator('tr:not(:first-child)')
        .evaluateAll(lines => lines.map(line => Array.from(line.children, cell => cell.textContent ?? '')));
      expect(cells.map(([name]) => name)).toEqual(['tf.train.adam', 'frugal', 'lion']);
      const readme = readFileSync(join(root, 'README.md'), 'utf8');
      for (const line of cells) expect(readme).toMatch(new RegExp(`^${line[0]} .* ${line[5]} +${line[6]}$`, 'm'));
      for (const [, first, last] of cells) expect(Number(last)).toBeLessThan(Number(first));
      expect(complaints).toEqual([]);
      expect(server.violations).toEqual([]);
    } finally {
      await browser.close();
      await server.close();
      rmSync(folder, { recursive: true });
    }
  });
});
