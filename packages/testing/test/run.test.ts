import { columns, randK } from '@frugaljs/projectors';
import { signSgd } from '@frugaljs/state-free';
import { checkProjector, checkRule, formatReport } from '@frugaljs/testing';
import { memory, setBackend } from '@tensorflow/tfjs-core';
import { beforeAll, describe, expect, it } from 'vitest';
import '../../../tools/test-support/backends.js';

beforeAll(async () => {
  await setBackend('cpu');
});

const few = { numRuns: 3 };

describe('suites', () => {
  it('that run at the same time do not disturb each other', async () => {
    const suites = [
      () => checkProjector(columns, few),
      () => checkRule(signSgd, few),
      () => checkProjector(randK, { ...few, seed: 4 }),
    ];
    const { numTensors } = memory();
    const together = await Promise.all(suites.map(suite => suite()));
    expect(memory().numTensors).toBe(numTensors);
    expect(together.every(({ passed }) => passed)).toBe(true);
    for (const [i, suite] of suites.entries()) expect(await suite()).toEqual(together[i]);
  });

  it('leave laws out and say why', async () => {
    const report = await checkProjector(columns, { ...few, leaveOut: { linearity: 'tried elsewhere' } });
    expect(report.results.find(({ law }) => law === 'linearity')).toMatchObject({
      status: 'skipped',
      reason: 'tried elsewhere',
    });
    expect(formatReport(report)).toContain('linearity (tried elsewhere)');
  });

  it('know the laws that are left out', async () => {
    const leaveOut = { lineraity: 'a slip of the pen' };
    await expect(checkProjector(columns, { leaveOut })).rejects.toThrow(/leaveOut: lineraity, expected names of laws/);
  });
});
