import { beforeAll, describe, expect, test } from 'vitest';
import { deviationsFromTable } from '../../../tools/test-support/non-finite-table.js';
import { missing, useTensorFlow } from './tensorflow.js';

describe.skipIf(missing !== null)('NaN, Inf and numbers that overflow', () => {
  beforeAll(useTensorFlow);

  test.each(['auto', 'reference'] as const)(
    'kernels %s',
    async kernels => {
      expect(await deviationsFromTable('tensorflow', kernels)).toEqual([]);
    },
    300_000,
  );
});
