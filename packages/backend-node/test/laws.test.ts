import {
  describeCombineLaws,
  describeKernelLaws,
  describeOptimizerLaws,
  describeProjectorLaws,
  describeRuleLaws,
  describeWrapperLaws,
} from '@frugaljs/testing/vitest';
import { describe } from 'vitest';
import { algebraOf, REDUCING_RULES } from '../../../tools/test-support/algebra.js';
import { COMBINE_CLAIMS, WRAPPER_CLAIMS } from '../../composer/test/claims.js';
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
  for (const [name, { factory, claims }] of Object.entries(WRAPPER_CLAIMS)) {
    describeWrapperLaws(factory, { ...claims, ...settings, name });
  }
  describeOptimizerLaws(algebraOf('auto'), { ...settings, name: 'compose with kernels of TensorFlow' });
  describeKernelLaws(algebraOf('reference'), algebraOf('auto'), {
    ...settings,
    numRuns: 20,
    name: 'kernels of backend-node',
    rules: REDUCING_RULES,
  });
}
