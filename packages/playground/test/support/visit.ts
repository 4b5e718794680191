import { readFileSync } from 'node:fs';
import { type Browser, type BrowserContextOptions, chromium, type Page } from 'playwright-core';
import { CHROMIUM_ARGUMENTS, serve } from '../../../../tools/test-support/browser.js';
import { CONTENT_SECURITY_POLICY } from '../../src/content-security-policy.js';
import { buildPage } from './built-page.js';

/** The built page, a server for it and a browser. */
export interface Visits {
  open(options?: BrowserContextOptions): Promise<Visit>;
  /** What was reported against the content-security policy, in all visits. */
  readonly violations: readonly string[];
  /** Ends the process that drives the graphics, as a faulty driver would. */
  crashGraphics(): Promise<void>;
  close(): Promise<void>;
}

/** @param without Arguments of the browser to leave out. */
export async function openVisits(executablePath: string, without: readonly string[] = []): Promise<Visits> {
  const page = await buildPage();
  const server = await serve(page.folder, CONTENT_SECURITY_POLICY);
  const args = CHROMIUM_ARGUMENTS.filter(argument => !without.includes(argument));
  const browser: Browser = await chromium.launch({ executablePath, args });
  return {
    open: async (options = {}) => {
      const context = await browser.newContext({ acceptDownloads: true, ...options });
      return Visit.open(await context.newPage(), server.url);
    },
    violations: server.violations,
    crashGraphics: async () => {
      const session = await browser.newBrowserCDPSession();
      // The answer gets lost with the process.
      await session.send('Browser.crashGpuProcess').catch(() => {});
    },
    close: async () => {
      await browser.close();
      await server.close();
      page.remove();
    },
  };
}

/** The page in a tab of its own, with a record of what must not happen. */
export class Visit {
  readonly page: Page;
  readonly url: string;
  /** Errors and warnings of the console, and errors that nobody caught. */
  readonly complaints: string[] = [];
  readonly requests: string[] = [];

  private constructor(page: Page, url: string) {
    this.page = page;
    this.url = url;
    page.on('console', message => {
      if (['error', 'warning'].includes(message.type())) this.complaints.push(message.text());
    });
    page.on('pageerror', error => this.complaints.push(String(error)));
    page.on('requestfailed', request => this.complaints.push(`${request.url()} failed`));
    page.context().on('request', request => this.requests.push(request.url()));
  }

  static async open(page: Page, url: string): Promise<Visit> {
    const visit = new Visit(page, url);
    await page.goto(url);
    await page.waitForSelector('html[data-ready]');
    return visit;
  }

  /** Requests to anywhere but the server of the page. */
  get external(): string[] {
    return this.requests.filter(request => !request.startsWith(this.url) && !request.startsWith(`blob:${this.url}`));
  }

  /** Chooses the smallest model, and so many steps of a small batch. */
  async setUp({ steps = 30, backend = 'wasm', sampleLength = 40 } = {}): Promise<void> {
    const { page } = this;
    await page.getByLabel('Model').selectOption('nano');
    await page.getByLabel('Steps', { exact: true }).fill(String(steps));
    await page.getByLabel('Batch', { exact: true }).fill('4');
    await page.getByLabel('Context', { exact: true }).fill('32');
    await page.getByLabel('Length', { exact: true }).fill(String(sampleLength));
    await page.getByLabel('Backend').selectOption(backend);
  }

  async start(): Promise<void> {
    await this.page.getByRole('button', { name: 'Start', exact: true }).click();
  }

  async finished(timeout = 150_000): Promise<void> {
    await this.page.locator('#status').filter({ hasText: 'Done' }).waitFor({ timeout });
  }

  /** Waits until so many steps are made. */
  async reached(step: number): Promise<void> {
    const made = (least: number): boolean =>
      (document.getElementById('progress') as HTMLProgressElement).value >= least;
    await this.page.waitForFunction(made, step, { timeout: 150_000 });
  }

  /** Presses Pause once so many steps are made: within the page, since from outside the last step may come first. */
  async pausedAfter(step: number): Promise<void> {
    const pressed = (least: number): boolean => {
      if ((document.getElementById('progress') as HTMLProgressElement).value < least) return false;
      const pause = Array.from(document.querySelectorAll('button')).find(each => each.textContent === 'Pause');
      pause?.click();
      return pause !== undefined;
    };
    await this.page.waitForFunction(pressed, step, { timeout: 150_000 });
  }

  get step(): Promise<number> {
    return this.page.locator('#progress').evaluate(bar => (bar as HTMLProgressElement).value);
  }

  /** The step at which the comparison has come to rest: the one under way at a pause is still finished. */
  async restingStep(): Promise<number> {
    for (let before = -1; ; ) {
      const now = await this.step;
      if (now === before) return now;
      before = now;
      await this.page.waitForTimeout(1000);
    }
  }

  /** Downloads what a button offers. */
  async download(button: string): Promise<{ readonly name: string; readonly bytes: Buffer }> {
    const [download] = await Promise.all([
      this.page.waitForEvent('download'),
      this.page.getByRole('button', { name: button }).click(),
    ]);
    return { name: download.suggestedFilename(), bytes: readFileSync(await download.path()) };
  }

  /** The losses as the page gives them away, a list per optimizer. */
  async losses(): Promise<number[][]> {
    const { bytes } = await this.download('Losses as CSV');
    const [head, ...rows] = bytes.toString().trim().split('\n');
    const columns = head!.split(',').length - 1;
    const cells = rows.map(row => row.split(',').slice(1).map(Number));
    return Array.from({ length: columns }, (_, column) => cells.map(row => row[column]!));
  }
}
