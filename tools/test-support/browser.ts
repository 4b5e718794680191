import { createReadStream, existsSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { extname, join, normalize } from 'node:path';
import { build, defaultClientConditions } from 'vite';

const USUAL_PLACES = [
  '/usr/bin/chromium',
  '/usr/bin/chromium-browser',
  '/usr/bin/google-chrome',
  '/usr/bin/google-chrome-stable',
  '/snap/bin/chromium',
  '/Applications/Chromium.app/Contents/MacOS/Chromium',
  '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome',
  'C:\\Program Files\\Google\\Chrome\\Application\\chrome.exe',
];

/** The Chromium of this machine. Null if there is none, which is said on the console: tests in the browser are skipped. */
export function findChromium(): string | null {
  const { CHROMIUM } = process.env;
  const found = [...(CHROMIUM ? [CHROMIUM] : []), ...USUAL_PLACES].find(path => existsSync(path));
  if (found !== undefined) return found;
  console.log('Skipped: no Chromium in the usual places; set CHROMIUM to the path of one, or install chromium.');
  return null;
}

/** Headless, with WebGPU on whatever adapter there is, and without the browser's own traffic. */
export const CHROMIUM_ARGUMENTS: readonly string[] = [
  '--headless=new',
  '--no-sandbox',
  '--enable-unsafe-webgpu',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  '--disable-quic',
  '--no-first-run',
  // Nothing but the server of the test has an address.
  '--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1',
];

/**
 * Builds the page of a test, with the packages taken from their sources.
 *
 * @param root The folder with its `index.html`.
 * @param outDir Where it goes.
 */
export async function buildTestPage(root: string, outDir: string): Promise<void> {
  await build({
    configFile: false,
    root,
    logLevel: 'error',
    resolve: { conditions: ['@frugaljs/source', ...defaultClientConditions] },
    build: { outDir, emptyOutDir: true, target: 'es2022', minify: false },
  });
}

const TYPES: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript',
  '.css': 'text/css',
  '.svg': 'image/svg+xml',
  '.wasm': 'application/wasm',
};

/** A server of files on this machine alone. */
export interface StaticServer {
  readonly url: string;
  /** What browsers reported against the policy. */
  readonly violations: readonly string[];
  close(): Promise<void>;
}

/**
 * Serves a folder.
 *
 * @param policy Sent with every file, so that it binds workers too; the browser reports violations to the server.
 */
export async function serve(folder: string, policy: string): Promise<StaticServer> {
  const violations: string[] = [];
  const server = createServer((request, response) => {
    const { pathname } = new URL(request.url ?? '/', 'http://localhost');
    if (pathname === '/violation') {
      let body = '';
      request.on('data', chunk => {
        body += chunk;
      });
      request.on('end', () => {
        violations.push(body);
        response.writeHead(204).end();
      });
      return;
    }
    const file = join(folder, normalize(pathname === '/' ? '/index.html' : pathname));
    if (!file.startsWith(folder) || !existsSync(file)) {
      response.writeHead(404).end();
      return;
    }
    response.writeHead(200, {
      'Content-Type': TYPES[extname(file)] ?? 'application/octet-stream',
      'Content-Security-Policy': `${policy}; report-uri /violation`,
    });
    createReadStream(file).pipe(response);
  });
  await new Promise<void>(resolve => {
    server.listen(0, '127.0.0.1', resolve);
  });
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`,
    violations,
    close: () =>
      new Promise(resolve => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
