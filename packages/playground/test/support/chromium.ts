import { existsSync } from 'node:fs';

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

/** The Chromium of this machine; null if there is none. */
export function findChromium(): string | null {
  const { CHROMIUM } = process.env;
  return [...(CHROMIUM ? [CHROMIUM] : []), ...USUAL_PLACES].find(path => existsSync(path)) ?? null;
}

/** Says on the console why tests in the browser are skipped, if they are. */
export function chromiumOrReason(): string | null {
  const found = findChromium();
  if (found === null) {
    console.log('Skipped: no Chromium in the usual places; set CHROMIUM to the path of one, or install chromium.');
  }
  return found;
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
