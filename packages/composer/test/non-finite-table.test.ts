import '@frugaljs/backend-wasm';
import '@frugaljs/backend-wasm/cpu';
import * as tf from '@tensorflow/tfjs-core';
import { expect, test } from 'vitest';
import { deviationsFromTable } from '../../../tools/test-support/non-finite-table.js';
import { BACKENDS } from './fixtures.js';

const CASES = BACKENDS.flatMap(backend => (['auto', 'reference'] as const).map(kernels => ({ backend, kernels })));

test.each(CASES)(
  'NaN, Inf and numbers that overflow on $backend, kernels $kernels',
  async ({ backend, kernels }) => {
    await tf.setBackend(backend);
    expect(await deviationsFromTable(backend, kernels)).toEqual([]);
  },
  300_000,
);
