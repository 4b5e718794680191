import { expect, test } from 'vitest';
import { deviationsFromTable } from '../../../tools/test-support/non-finite-table.js';
import { describeOnDevice } from './device.js';

describeOnDevice('NaN, Inf and numbers that overflow', () => {
  test.each(['auto', 'reference'] as const)(
    'kernels %s',
    async kernels => {
      expect(await deviationsFromTable('webgpu', kernels)).toEqual([]);
    },
    900_000,
  );
});
