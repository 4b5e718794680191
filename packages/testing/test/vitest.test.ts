import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { columns } from '@frugaljs/projectors';
import { checkProjector, formatReport } from '@frugaljs/testing';
import { mul, setBackend, tidy } from '@tensorflow/tfjs-core';
import { expect, it } from 'vitest';
import '../../../tools/test-support/backends.js';

const vitest = fileURLToPath(new URL('../../../node_modules/vitest/vitest.mjs', import.meta.url));

/** Runs the suite in a vitest of its own; status of every test by name. */
async function statuses(): Promise<Record<string, string>> {
  const cwd = fileURLToPath(new URL('broken-suite', import.meta.url));
  const run = promisify(execFile)(process.execPath, [vitest, 'run', '--reporter=json'], { cwd });
  // A law is broken, so that the run fails.
  const { stdout } = await run.then(
    () => expect.fail('the suite passed'),
    (error: { stdout: string }) => error,
  );
  const { testResults } = JSON.parse(stdout.slice(stdout.indexOf('{'))) as {
    testResults: { assertionResults: { title: string; status: string }[] }[];
  };
  return Object.fromEntries(testResults[0]!.assertionResults.map(({ title, status }) => [title, status]));
}

it('in vitest a law that was not tried is skipped, and does not look as if it held', async () => {
  await setBackend('cpu');
  const found = await statuses();
  const factory = (options: { readonly density: number }): ReturnType<typeof columns> => {
    const right = columns(options);
    return { ...right, up: (x, basis, site) => tidy(() => mul(right.up(x, basis, site), 2)) };
  };
  const report = await checkProjector(factory, { numRuns: 5 });
  expect(found['down ∘ up = id']).toBe('failed');
  expect(found['Π² = Π'], formatReport(report)).toBe('skipped');
  for (const { law, status } of report.results) {
    if (law in found) expect(`${law}: ${found[law]}`).toBe(`${law}: ${status}`);
  }
});
