import '@frugaljs/backend-wasm';
import { describeKernelLaws, describeOptimizerLaws } from '@frugaljs/testing/vitest';
import '../../../tools/test-support/backends.js';
import { algebraOf, REDUCING_RULES } from '../../../tools/test-support/algebra.js';

describeKernelLaws(algebraOf('reference'), algebraOf('auto'), {
  name: 'kernels of backend-wasm',
  rules: REDUCING_RULES,
  backends: ['wasm'],
});

describeOptimizerLaws(algebraOf('auto'), { name: 'compose with fused kernels', backends: ['wasm'] });
