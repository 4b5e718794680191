import '@tensorflow/tfjs-backend-cpu';
import { columns } from '@frugaljs/projectors';
import { describeProjectorLaws } from '@frugaljs/testing/vitest';
import { mul, tidy } from '@tensorflow/tfjs-core';

describeProjectorLaws(
  (options: { readonly density: number }) => {
    const right = columns(options);
    return { ...right, up: (x, basis, site) => tidy(() => mul(right.up(x, basis, site), 2)) };
  },
  { numRuns: 5 },
);
