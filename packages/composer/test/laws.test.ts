import '@tensorflow/tfjs-backend-cpu';
import '@tensorflow/tfjs-backend-wasm';
import '@tensorflow/tfjs-layers'; // registers the gradients of tfjs
import { describeCombineLaws, describeOptimizerLaws, describeWrapperLaws } from '@frugaljs/testing/vitest';
import { algebraOf } from '../../../tools/test-support/algebra.js';
import { COMBINE_CLAIMS, WRAPPER_CLAIMS } from './claims.js';

const backends = ['cpu', 'wasm'];

for (const [name, { factory, claims }] of Object.entries(COMBINE_CLAIMS)) {
  describeCombineLaws(factory, { ...claims, name, backends });
}

for (const [name, { factory, claims }] of Object.entries(WRAPPER_CLAIMS)) {
  describeWrapperLaws(factory, { ...claims, name, backends });
}

describeOptimizerLaws(algebraOf('reference'), { name: 'compose', backends });
