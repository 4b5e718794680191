import '@frugaljs/backend-wasm';
import { normalizedSgd, sinkGd } from '@frugaljs/state-free';
import { adafactor, adaLayer, factoredAdamW, oneSidedAdafactor, rmsprop } from '@frugaljs/state-full';
import { describeKernelLaws, describeOptimizerLaws } from '@frugaljs/testing/vitest';
import './backends.js';
import { algebraOf } from '../../composer/test/algebra.js';

const rules = {
  normalizedSgd: () => normalizedSgd({ per: 'row' }),
  sinkGd,
  adafactor: () => adafactor({ beta1: 0.9 }),
  adaLayer: () => adaLayer({ per: 'column' }),
  factoredAdamW,
  rmsprop: () => rmsprop({ centered: true, momentum: 0.5, epsilon: 1e-3 }),
};

describeKernelLaws(algebraOf('reference'), algebraOf('auto'), {
  name: 'kernels of backend-wasm',
  rules: { ...rules, oneSidedAdafactor: () => oneSidedAdafactor({ per: 'column' }) },
  backends: ['wasm'],
});

describeOptimizerLaws(algebraOf('auto'), { name: 'compose with fused kernels', backends: ['wasm'] });
