import { expect, test } from 'vitest';
import { deviationsFromTable } from '../../../tools/test-support/non-finite-table.js';
import { describeOnDevice } from './device.js';

/** A device in software takes minutes for all: `NON_FINITE_CASES=all`. 23 divides none of the numbers of choices. */
const EVERY = process.env['NON_FINITE_CASES'] === 'all' ? 1 : 23;

describeOnDevice('NaN, Inf and numbers that overflow', () => {
  test.each(['auto', 'reference'] as const)(
    'kernels %s',
    async kernels => {
      expect(await deviationsFromTable('webgpu', kernels, EVERY)).toEqual([]);
    },
    900_000,
  );
});
