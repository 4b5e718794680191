import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { node } from './support/command.js';

const script = fileURLToPath(new URL('support/gpu-trouble.ts', import.meta.url));

test.for<[title: string, trouble: string, expected: { name: string; code: string; message: RegExp }]>([
  [
    'a device that is gone',
    'lost',
    {
      name: 'DeviceLostError',
      code: 'device-lost',
      message: /a device that is gone \(.*destroyed.*\)\. Its tensors are gone/,
    },
  ],
  [
    'a tensor that no buffer holds',
    'large',
    {
      name: 'OutOfMemoryError',
      code: 'out-of-memory',
      message: /exceeds the max buffer size limit|max(imum)? .*size/i,
    },
  ],
])(
  '%s ends the training with a typed error',
  { timeout: 120_000 },
  async ([, trouble, { name, code, message }], context) => {
    const { stdout, stderr } = await node([script, trouble], { cwd: '.' });
    const outcome = JSON.parse(stdout.trimEnd().split('\n').at(-1) || '{}');
    if (outcome.unavailable !== undefined) {
      console.log(`Skipped: ${outcome.unavailable}`);
      return context.skip();
    }
    expect(outcome, stderr).toMatchObject({ name, code });
    expect(outcome.message).toMatch(message);
    // What came before it was computed as it should be: w ← 0.95 w.
    expect(outcome.losses).toEqual([7.5, expect.closeTo(7.5 * 0.95 ** 2, 5)]);
  },
);
