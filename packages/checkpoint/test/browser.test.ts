import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { recipe } from '@frugaljs/composer';
import { setBackend } from '@tensorflow/tfjs-core';
import { type Browser, chromium, type Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  buildTestPage,
  CHROMIUM_ARGUMENTS,
  findChromium,
  type StaticServer,
  serve,
} from '../../../tools/test-support/browser.js';
import { temporaryFolder } from '../../../tools/test-support/folders.js';
import { blobSource, Checkpoints, copyCheckpoint, openArchive, writeArchive } from '../src/index.js';
import { FolderStore, fileSink } from '../src/node/index.js';
import type { CheckpointPage } from './browser-page/page.js';
import { bitsOf, makeModel, trainSteps } from './fixtures.js';

const executablePath = findChromium();

describe.skipIf(executablePath === null)('in a browser', () => {
  const built = mkdtempSync(join(tmpdir(), 'checkpoint-page-'));
  let server: StaticServer;
  let browser: Browser;
  let page: Page;

  beforeAll(async () => {
    await buildTestPage(fileURLToPath(new URL('browser-page', import.meta.url)), built);
    server = await serve(built, "default-src 'self'");
    browser = await chromium.launch({ executablePath: executablePath!, args: [...CHROMIUM_ARGUMENTS] });
    page = await (await browser.newContext({ acceptDownloads: true })).newPage();
    await load();
  }, 120_000);

  afterAll(async () => {
    await browser?.close();
    await server?.close();
    rmSync(built, { recursive: true, force: true });
  });

  async function load(): Promise<void> {
    await page.goto(server.url);
    await page.waitForFunction(() => 'checkpointPage' in globalThis);
  }

  /** Calls the page. */
  function inPage<K extends keyof CheckpointPage>(
    method: K,
    ...args: Parameters<CheckpointPage[K]>
  ): Promise<Awaited<ReturnType<CheckpointPage[K]>>> {
    const call = ([name, given]: readonly [string, unknown[]]) =>
      (globalThis as unknown as { checkpointPage: Record<string, (...args: unknown[]) => unknown> }).checkpointPage[
        name
      ]!(...given);
    return page.evaluate(call, [method, args] as const) as never;
  }

  test('a run goes on after a reload as if there had been none, and the store is thinned out', async () => {
    const whole = await inPage('train', 'whole', 0, 18);
    expect(whole).toHaveLength(18);
    for (const [from, to] of [
      [0, 5],
      [5, 9],
      [9, 14],
    ] as const) {
      await inPage('train', 'parts', from, to);
      await load();
    }
    expect(await inPage('train', 'parts', 14, 18)).toEqual(whole);
    // The last two; the best of them has the lowest loss.
    expect((await inPage('list', 'parts')).length).toBeLessThanOrEqual(3);
    expect(await inPage('list', 'parts')).toContain('step-000018');
  });

  test('a download is the file that Node writes, loads in Node, and comes back by an upload', async () => {
    const losses = await inPage('train', 'travel', 0, 7);
    const waiting = page.waitForEvent('download');
    await inPage('download', 'travel');
    const download = await waiting;
    expect(download.suggestedFilename()).toBe('step-000007.tar');
    const folder = temporaryFolder();
    const path = join(folder, 'step-000007.tar');
    await download.saveAs(path);

    // The same seven steps in Node: not the same sums to the last bit, as Math.exp and the like are the engine's, but the
    // checkpoint itself goes in and out byte for byte.
    await setBackend('cpu');
    const store = new FolderStore(join(folder, 'run'));
    await copyCheckpoint(await openArchive(blobSource(new Blob([readFileSync(path)]), 'x.tar')), store);
    const saved = (await new Checkpoints({ store }).latest())!;
    expect(saved.step).toBe(7);
    const model = makeModel(9);
    const optimizer = recipe('frugal', { learningRate: 0.01, density: 0.5, updateGap: 3, seed: 4 });
    const { trainer, warnings } = await saved.restore({ model: model.parameters, optimizer });
    expect(trainer).toEqual({ losses });
    expect(warnings.length).toBeLessThanOrEqual(1);
    const before = bitsOf(model.parameters);
    expect(trainSteps(model, optimizer, 7, 9).every(Number.isFinite)).toBe(true);
    expect(bitsOf(model.parameters)).not.toEqual(before);
    const again = join(folder, 'again.tar');
    const sink = await fileSink(again);
    await writeArchive(saved, sink);
    await sink.close();
    expect(Buffer.compare(readFileSync(again), readFileSync(path))).toBe(0);

    await load();
    await page.setInputFiles('#upload', again);
    expect(await inPage('upload', 'elsewhere')).toBe('step-000007');
    const here = await inPage('train', 'travel', 7, 11);
    expect(await inPage('train', 'elsewhere', 7, 11)).toEqual(here);
    optimizer.dispose();
    model.dispose();
  });

  test('a file that is no checkpoint is refused with a typed error', async () => {
    await page.setInputFiles('#upload', {
      name: 'x.tar',
      mimeType: 'application/x-tar',
      buffer: Buffer.alloc(4096, 65),
    });
    await expect(inPage('upload', 'refused')).rejects.toThrow(/InvalidCheckpointError|x\.tar/);
    expect(await inPage('list', 'refused')).toEqual([]);
  });
});
