import '@tensorflow/tfjs-layers';
import { setBackend } from '@tensorflow/tfjs-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import '../../../tools/test-support/backends.js';
import { COMBINE_MUTANTS } from './mutants/combines.js';
import type { Mutant } from './mutants/mutant.js';
import { OPTIMIZER_MUTANTS } from './mutants/optimizers.js';
import { PROJECTOR_MUTANTS } from './mutants/projectors.js';
import { RULE_MUTANTS } from './mutants/rules.js';
import { WRAPPER_MUTANTS } from './mutants/wrappers.js';

// Everything here is deliberately wrong. A suite is as good as what it catches, so each fault must be caught, and by the
// law that names it: the first that breaks.
const MUTANTS: Readonly<Record<string, readonly Mutant[]>> = {
  projector: PROJECTOR_MUTANTS,
  rule: RULE_MUTANTS,
  combine: COMBINE_MUTANTS,
  wrapper: WRAPPER_MUTANTS,
  optimizer: OPTIMIZER_MUTANTS,
};

describe('the mutation table', () => {
  const rows: { part: string; fault: string; law: string; runs: number }[] = [];
  beforeAll(async () => {
    await setBackend('cpu');
  });
  afterAll(() => {
    const width = (key: 'part' | 'fault' | 'law'): number => Math.max(...rows.map(row => row[key].length));
    const [part, fault, law] = [width('part'), width('fault'), width('law')];
    const lines = rows.map(
      row => `${row.part.padEnd(part)}  ${row.fault.padEnd(fault)}  ${row.law.padEnd(law)}  ${row.runs}`,
    );
    console.log(`${rows.length} faults, the law that catches each, and in which run:\n${lines.join('\n')}`);
  });

  for (const [part, mutants] of Object.entries(MUTANTS)) {
    it.each(mutants)(`${part}: $fault`, async ({ fault, law, check }) => {
      const { results } = await check();
      const caught = results.find(({ status }) => status === 'failed');
      expect(caught?.law, `the law that breaks first; ${caught?.message}`).toBe(law);
      rows.push({ part, fault, law, runs: caught!.runs });
    });
  }

  it('holds at least 25 faults', () => {
    expect(Object.values(MUTANTS).flat().length).toBeGreaterThanOrEqual(25);
  });
});
