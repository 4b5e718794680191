import { normalizedSgd, sinkGd } from '@frugaljs/state-free';
import { adafactor, adaLayer, factoredAdamW, oneSidedAdafactor, rmsprop } from '@frugaljs/state-full';
import {
  describeCombineLaws,
  describeKernelLaws,
  describeOptimizerLaws,
  describeProjectorLaws,
  describeRuleLaws,
} from '@frugaljs/testing/vitest';
import { describe } from 'vitest';
import { algebraOf } from '../../composer/test/algebra.js';
import { COMBINE_CLAIMS } from '../../composer/test/claims.js';
import { PROJECTOR_CLAIMS } from '../../projectors/test/claims.js';
import { STATE_FREE_CLAIMS } from '../../state-free/test/claims.js';
import { STATE_FULL_CLAIMS } from '../../state-full/test/claims.js';
import { missing } from './tensorflow.js';

const settings = { numRuns: 5, backends: ['tensorflow'] };

if (missing !== null) {
  describe.skip(`laws on tensorflow: ${missing}`);
} else {
  for (const [name, { factory, claims }] of Object.entries(PROJECTOR_CLAIMS)) {
    describeProjectorLaws(factory, { ...claims, ...settings, name });
  }
  for (const { kind, factory, claims } of [...STATE_FULL_CLAIMS, ...STATE_FREE_CLAIMS]) {
    describeRuleLaws(factory, { ...claims, ...settings, name: kind });
  }
  for (const [name, { factory, claims }] of Object.entries(COMBINE_CLAIMS)) {
    describeCombineLaws(factory, { ...claims, ...settings, name });
  }
  describeOptimizerLaws(algebraOf('auto'), { ...settings, name: 'compose with kernels of TensorFlow' });
  describeKernelLaws(algebraOf('reference'), algebraOf('auto'), {
    ...settings,
    numRuns: 20,
    name: 'kernels of backend-node',
    rules: {
      normalizedSgd: () => normalizedSgd({ per: 'row' }),
      sinkGd,
      adafactor: () => adafactor({ beta1: 0.9 }),
      adaLayer: () => adaLayer({ per: 'column' }),
      factoredAdamW,
      rmsprop: () => rmsprop({ centered: true, momentum: 0.5, epsilon: 1e-3 }),
      oneSidedAdafactor: () => oneSidedAdafactor({ per: 'column' }),
    },
  });
}
