import '@tensorflow/tfjs-layers';
import {
  describeCombineLaws,
  describeKernelLaws,
  describeOptimizerLaws,
  describeProjectorLaws,
  describeRuleLaws,
  describeWrapperLaws,
} from '@frugaljs/testing/vitest';
import { backend, setBackend } from '@tensorflow/tfjs-core';
import { describe } from 'vitest';
import { algebraOf } from '../../../tools/test-support/algebra.js';
import { COMBINE_CLAIMS, WRAPPER_CLAIMS } from '../../composer/test/claims.js';
import { PROJECTOR_CLAIMS } from '../../projectors/test/claims.js';
import { STATE_FREE_CLAIMS } from '../../state-free/test/claims.js';
import { STATE_FULL_CLAIMS } from '../../state-full/test/claims.js';

// A driver in software takes milliseconds for a small operation and more for a product, so there are few examples. The
// laws that average over many draws, or take large parameters, are left out where every draw is made of products.
const few = { numRuns: 2, backends: ['webgpu'], timeout: 300_000 };
const fewest = { ...few, numRuns: 1 };
const manyProducts = 'no graphics card: so many products take minutes in software';
const inSoftware: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  sketch: { 'a sketch is right on average': manyProducts, 'large parameters': manyProducts },
  random: { unbiased: manyProducts, 'energy under noise': manyProducts, 'large parameters': manyProducts },
  svd: { 'better than chance': manyProducts, 'large parameters': manyProducts },
  'svd, randomized': { 'better than chance': manyProducts, 'large parameters': manyProducts },
  dct: { 'better than chance': manyProducts },
};

const missing = await import('@frugaljs/backend-webgpu/node').then(
  () => null,
  (error: Error) => error.message,
);

if (missing !== null) {
  console.log(`laws on webgpu are skipped: ${missing}`);
  describe.skip(`laws on webgpu: ${missing}`);
} else {
  const { tensorDevice } = await import('@frugaljs/backend-webgpu');
  await setBackend('webgpu');
  const { isSoftware } = tensorDevice(backend());
  for (const [name, { factory, claims, reads = false }] of Object.entries(PROJECTOR_CLAIMS)) {
    if (reads) continue;
    const leaveOut = (isSoftware ? inSoftware[name] : undefined) ?? {};
    describeProjectorLaws(factory, { ...claims, ...fewest, name, leaveOut });
  }
  for (const { kind, factory, claims } of [...STATE_FULL_CLAIMS, ...STATE_FREE_CLAIMS]) {
    describeRuleLaws(factory, { ...claims, ...(kind === 'muon' ? fewest : few), name: kind });
  }
  for (const [name, { factory, claims }] of Object.entries(COMBINE_CLAIMS)) {
    describeCombineLaws(factory, { ...claims, ...few, name });
  }
  for (const [name, { factory, claims }] of Object.entries(WRAPPER_CLAIMS)) {
    describeWrapperLaws(factory, { ...claims, ...few, name });
  }
  describeOptimizerLaws(algebraOf('reference', false), { ...fewest, name: 'compose' });
  describeKernelLaws(algebraOf('reference'), algebraOf('auto'), { ...fewest, name: 'kernels of backend-webgpu' });
}
