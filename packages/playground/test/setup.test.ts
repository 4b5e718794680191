import { recipe } from '@frugaljs/composer';
import { parameterSpecs, preset } from '@frugaljs/llama';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { findChromium } from '../../../tools/test-support/browser.js';
import { eventually } from './support/eventually.js';
import { openVisits, type Visits } from './support/visit.js';

const chromium = findChromium();

describe.skipIf(chromium === null)('the setup', { timeout: 240_000 }, () => {
  let visits: Visits;

  beforeAll(async () => {
    visits = await openVisits(chromium!);
  }, 120_000);
  afterAll(() => visits?.close());

  it('shows what the editor has to say about bad JSON, and does not start with it', async () => {
    const visit = await visits.open();
    const { page } = visit;
    const card = page.getByRole('group', { name: 'Optimizer 2' });
    await card.getByRole('button', { name: /^Edit as JSON/ }).click();
    const editor = card.getByLabel('Composition as JSON');
    expect(await card.getByRole('button', { name: /^Back to the form, optimizer 2$/ }).isVisible()).toBe(true);
    const composition = JSON.parse(await editor.inputValue());
    expect(composition).toMatchObject({ learningRate: 0.004, groups: [{ use: { kind: 'subspace' } }, {}] });

    const [first, second] = composition.groups;
    const bad: [text: string, message: RegExp][] = [
      ['{"learningRate": ', /^composition: expected JSON, found text that is not\. .*JSON/],
      ['[]', /^composition: expected an object/],
      [JSON.stringify({ ...composition, clipping: 1 }), /clipping/],
      [JSON.stringify({ ...composition, groups: [] }), /^groups: expected a list of at least one group/],
      [JSON.stringify({ groups: [second] }), /^learningRate: expected a number or a schedule/],
      [JSON.stringify({ ...composition, learningRate: -1 }), /learningRate: expected a number in \[0, Infinity\)/],
      [JSON.stringify({ ...composition, groups: [{ use: { kind: 'adamV', options: {} } }] }), /adamV/],
      [JSON.stringify({ ...composition, groups: [{ use: 'adamW' }] }), /^groups\[0\]\.use: expected a rule as/],
      [JSON.stringify({ ...composition, groups: [first] }), /./],
      [
        JSON.stringify({ ...composition, groups: [{ use: { kind: 'subspace', options: {} } }] }),
        /^groups\[0\]\.use\.options\.projector: expected a projector as .*found nothing/,
      ],
    ];
    for (const [text, message] of bad) {
      await editor.fill(text);
      await eventually(() => card.locator('.error:visible').allTextContents(), text).toEqual([
        expect.stringMatching(message),
      ]);
      expect(await editor.getAttribute('aria-invalid')).toBe('true');
    }
    await page.locator('#tiles').click();
    await visit.start();
    await eventually(() => editor.evaluate(area => area === document.activeElement)).toBe(true);
    expect(await page.locator('#status').textContent()).toBe('Ready');

    // A composition that no recipe has, and what it keeps.
    const written = { learningRate: 0.01, groups: [{ use: { kind: 'sgdm', options: { momentum: 0.9 } } }] };
    await editor.fill(JSON.stringify(written));
    const parameters = parameterSpecs(preset('micro'));
    const state = recipe('sgdm').memoryReport(parameters).totalStateBytes;
    const cell = page.locator('#memory td[data-part=state]').nth(1);
    await eventually(() => cell.getAttribute('data-bytes')).toBe(String(state));
    expect(await card.locator('.error:visible').count()).toBe(0);
    await visit.setUp({ steps: 3 });
    await visit.start();
    await visit.finished();
    expect(await page.locator('#tiles .who').allTextContents()).toEqual(['AdamW', 'FRUGAL, edited']);
    expect(visit.complaints).toEqual([]);
    expect(visits.violations).toEqual([]);
  });

  it('names mistakes at the field, and nowhere else', async () => {
    const { page } = await visits.open();
    const card = page.getByRole('group', { name: 'Optimizer 2' });
    for (const [label, value, message] of [
      ['Density', '1.5', /^Density: expected a number in/],
      ['Learning rate', '-1', /^Learning rate: expected a number in \[0, Infinity\), found -1\.$/],
      ['Learning rate', '', /^Expected a number\.$/],
      ['Update gap', '0.5', /^Update gap: expected an integer/],
    ] as const) {
      const field = card.getByLabel(label);
      const before = await field.inputValue();
      await field.fill(value);
      await eventually(() => page.locator('.error:visible').allTextContents()).toEqual([
        expect.stringMatching(message),
      ]);
      expect(await field.getAttribute('aria-invalid')).toBe('true');
      await field.fill(before);
      await eventually(() => page.locator('.error:visible').count()).toBe(0);
    }
    for (const [label, value, message] of [
      ['Steps', '1', 'Steps: expected a whole number, 2 to 100,000; found 1.'],
      ['Steps', '', 'Steps: expected a whole number, 2 to 100,000; found no number.'],
      ['Batch', '257', 'Batch: expected a whole number, 1 to 256; found 257.'],
      ['Context', '1e6', 'Context: expected a whole number, 2 to 512; found 1000000.'],
      ['Length', '1e9', 'Length: expected a whole number, 1 to 1,000; found 1000000000.'],
    ]) {
      const field = page.getByLabel(label!, { exact: true });
      const before = await field.inputValue();
      await field.fill(value!);
      await eventually(() => page.locator('.error:visible').allTextContents()).toEqual([message]);
      await field.fill(before);
      await eventually(() => page.locator('.error:visible').count()).toBe(0);
    }
  });

  it('refuses files that are no text, or too short', async () => {
    const { page } = await visits.open();
    const input = page.getByLabel(/^Text: choose a file/);
    await input.setInputFiles({ name: 'image.png', mimeType: 'image/png', buffer: Buffer.from([0x89, 0x50, 0, 255]) });
    await eventually(() => page.locator('#text-error').textContent()).toBe(
      'image.png is not a text in UTF-8. The text is still the built-in tales.',
    );
    // Said until there is another text, while the rest of the setup is read; and the same file can be chosen again.
    expect(await input.inputValue()).toBe('');
    await page.getByLabel('Seed').fill('2');
    await eventually(() => page.locator('#text-status').textContent()).toMatch(/^Built-in tales.*tokens/);
    expect(await page.locator('#text-error').isVisible()).toBe(true);
    await input.setInputFiles({ name: 'short.txt', mimeType: 'text/plain', buffer: Buffer.from('a few words\n') });
    await eventually(() => page.locator('#text-error').textContent()).toMatch(
      /^text: expected text enough.*short\.txt/,
    );
    await page.getByRole('button', { name: 'Use the built-in tales' }).click();
    await eventually(() => page.locator('#text-status').textContent()).toMatch(/^Built-in tales.*tokens/);
    expect(await page.locator('#text-error').isVisible()).toBe(false);
  });

  it('takes up to four optimizers, and tells equal ones apart', async () => {
    const visit = await visits.open();
    const { page } = visit;
    await page.getByRole('button', { name: 'Add an optimizer' }).click();
    await page.getByRole('button', { name: 'Add an optimizer' }).click();
    expect(await page.getByRole('button', { name: 'Add an optimizer' }).isVisible()).toBe(false);
    await page.getByRole('group', { name: 'Optimizer 4' }).getByLabel('Method').selectOption('galore');
    await page.getByRole('button', { name: 'Remove optimizer 1' }).click();
    await eventually(() => page.locator('#tiles .who').allTextContents()).toEqual([
      'FRUGAL ρ=0.25',
      'GaLore ρ=0.25',
      'GaLore ρ=0.25 (2)',
    ]);
    await visit.setUp({ steps: 3 });
    await visit.start();
    await visit.finished();
    const [, first, second] = await visit.losses();
    expect(first).toEqual(second);
    expect(visit.complaints).toEqual([]);
  });

  it('goes on with the others when one diverges', async () => {
    const visit = await visits.open();
    const { page } = visit;
    await visit.setUp({ steps: 8 });
    const card = page.getByRole('group', { name: 'Optimizer 1' });
    await card.getByLabel('Method').selectOption('sgdm');
    await card.getByLabel('Learning rate').fill('1e12');
    await visit.start();
    await visit.finished();
    const speeds = page.locator('.speed');
    await eventually(() => speeds.allTextContents()).toEqual([
      expect.stringMatching(/^diverged at step [2-8]$/),
      expect.stringMatching(/tokens\/s$/),
    ]);
    const [diverged, other] = await visit.losses();
    expect(diverged!.at(-1)).toBe(0);
    expect(other).toHaveLength(8);
    expect(other!.every(loss => loss > 0 && loss < 8)).toBe(true);
    expect(visit.complaints).toEqual([]);
  });

  it('can be operated by keyboard alone', async () => {
    const visit = await visits.open();
    const { page } = visit;
    const focused = (): Promise<string> =>
      page.evaluate(() => {
        const element = document.activeElement as HTMLElement;
        const outline = getComputedStyle(element);
        // Every element that takes the focus shows it.
        if (outline.outlineStyle === 'none' || Number.parseFloat(outline.outlineWidth) < 1) return 'invisible focus';
        const label = (element as HTMLInputElement).labels?.[0]?.textContent;
        return element.getAttribute('aria-label') ?? label ?? element.textContent ?? '';
      });
    const tabTo = async (name: RegExp): Promise<void> => {
      const passed: string[] = [];
      for (let i = 0; i < 60; i++) {
        await page.keyboard.press('Tab');
        const now = await focused();
        passed.push(now);
        if (name.test(now)) return;
      }
      throw new Error(`Tab never came to ${name}: ${passed.join(' | ')}`);
    };
    await tabTo(/^Skip to the results/);
    await tabTo(/^Start/);
    await tabTo(/^Model/);
    await page.keyboard.press('N');
    await tabTo(/^Steps/);
    await page.keyboard.type('60');
    await tabTo(/^Backend/);
    await page.keyboard.press('W');
    await page.keyboard.press('W');
    expect(await page.getByLabel('Backend').inputValue()).toBe('wasm');
    while (!/^Start/.test(await focused())) await page.keyboard.press('Shift+Tab');
    await page.keyboard.press('Enter');
    await visit.reached(2);
    await page.keyboard.press('Space');
    await page.locator('#status').filter({ hasText: 'Paused' }).waitFor();
    expect(await page.locator('#announcements').textContent()).toMatch(/^Paused at step/);
    await page.keyboard.press('Space');
    await visit.finished();

    await tabTo(/^Training loss\. AdamW/);
    await page.keyboard.press('ArrowLeft');
    await page.keyboard.press('ArrowLeft');
    expect(await page.locator('.tip').textContent()).toMatch(/step 58.*AdamW\d\.\d{3}/);
    expect(await page.locator('#announcements').textContent()).toMatch(/^step 58: .*AdamW \d\.\d{3}/);
    await tabTo(/^Losses as a table/);
    await page.keyboard.press('Enter');
    await eventually(() => page.locator('.losses tbody tr').count()).toBe(20);
    while (!/^Reset/.test(await focused())) await page.keyboard.press('Shift+Tab');
    await page.keyboard.press('Enter');
    expect(await focused()).toBe('Start');
    expect(visit.complaints).toEqual([]);
  });

  it('no figure is wider than its card, and none of the state is said to be none but none', async () => {
    const { page } = await visits.open();
    for (const place of [0, 1]) await page.getByLabel('Method').nth(place).selectOption('sgdm');
    await page.getByText('SGD with momentum (2)').first().waitFor();
    const tooWide = (): Promise<string[]> =>
      page.evaluate(() =>
        Array.from(document.querySelectorAll<HTMLElement>('#results .card, #results .tile'))
          .filter(({ scrollWidth, clientWidth }) => scrollWidth > clientWidth)
          .map(({ textContent }) => textContent!),
      );
    for (const width of [320, 480, 561, 640, 800, 901, 980, 1100, 1280]) {
      await page.setViewportSize({ width, height: 800 });
      await eventually(tooWide, `at ${width}`).toEqual([]);
    }
    const headline = page.locator('#memory-headline');
    await page.getByLabel('Model').selectOption('small');
    await page.getByLabel('Method').nth(0).selectOption('adamW');
    await page.getByLabel('Method').nth(1).selectOption('signSgd');
    await eventually(() => headline.textContent()).toMatch(/^AdamW keeps .* of state; signSGD needs none of it\.$/);
    await page.getByLabel('Method').nth(1).selectOption('adafactor');
    await eventually(() => headline.textContent()).toMatch(/Adafactor makes do with less than 1.% of that\.$/);
  });

  it('fits on a phone, names every control, and keeps still for those who ask for it', async () => {
    const { page } = await visits.open({ viewport: { width: 375, height: 812 }, reducedMotion: 'reduce' });
    // Nothing that was shown first has moved since.
    const shifts = await page.evaluate(() => {
      const observer = new PerformanceObserver(() => {});
      observer.observe({ type: 'layout-shift', buffered: true });
      return new Promise<number[]>(resolve => {
        setTimeout(
          () => resolve(observer.takeRecords().map(each => (each as unknown as { value: number }).value)),
          300,
        );
      });
    });
    expect(shifts.reduce((sum, value) => sum + value, 0)).toBeLessThan(0.01);
    const overflow = (): Promise<number> => page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
    expect(await overflow()).toBe(0);
    // The narrowest that WCAG asks for (1.4.10): a screen of 1280 at four times the size.
    await page.setViewportSize({ width: 320, height: 640 });
    // The chart is drawn anew a frame later.
    await eventually(overflow).toBe(0);
    await page.getByRole('button', { name: /^Edit as JSON, optimizer 2/ }).click();
    expect(await overflow()).toBe(0);
    const unnamed = await page.evaluate(() =>
      Array.from(document.querySelectorAll<HTMLInputElement>('input, select, textarea, button'))
        .filter(each => !(each.labels?.length || each.textContent?.trim() || each.getAttribute('aria-label')))
        .map(each => each.outerHTML),
    );
    expect(unnamed).toEqual([]);
    const ids = await page.evaluate(() => Array.from(document.querySelectorAll('[id]')).map(({ id }) => id));
    expect(new Set(ids).size).toBe(ids.length);
    const small = await page.evaluate(() =>
      Array.from(document.querySelectorAll<HTMLElement>('input, select, .primary, .secondary'))
        .filter(each => each.offsetParent !== null && each.getBoundingClientRect().height < 40)
        .map(each => each.outerHTML),
    );
    expect(small).toEqual([]);
    const duration = await page
      .locator('.segment')
      .first()
      .evaluate(each => getComputedStyle(each).transitionDuration);
    expect(duration).toBe('0s');
  });
});

describe.skipIf(chromium === null)('without WebGPU', { timeout: 240_000 }, () => {
  let visits: Visits;

  beforeAll(async () => {
    visits = await openVisits(chromium!, ['--enable-unsafe-webgpu']);
  }, 120_000);
  afterAll(() => visits?.close());

  it('says so, says what happens instead, and says it again to those who insist', async () => {
    const visit = await visits.open({ viewport: { width: 375, height: 812 } });
    const { page } = visit;
    const note = page.locator('#backend-note');
    expect(await note.textContent()).toMatch(/^WebGPU is not used: .+\. Will train on WebAssembly instead\.$/);
    await page.getByLabel('Backend').selectOption('webgpu');
    await eventually(() => note.textContent()).toMatch(/^WebGPU cannot be used: .+\. Choose WebAssembly instead\.$/);
    await visit.start();
    await eventually(() => page.getByRole('alert').textContent()).toMatch(/^WebGPU cannot be used/);
    // Although the results stand below the whole setup on a phone.
    const isInView = (alert: Element): boolean => {
      const { top, bottom } = alert.getBoundingClientRect();
      return top >= 0 && bottom <= innerHeight;
    };
    expect(await page.getByRole('alert').evaluate(isInView)).toBe(true);
    await visit.setUp({ steps: 2, backend: 'auto' });
    await visit.start();
    await visit.finished();
    expect(await page.locator('#backend').textContent()).toBe('WebAssembly');
    expect(await page.getByRole('alert').isVisible()).toBe(false);
  });
});
