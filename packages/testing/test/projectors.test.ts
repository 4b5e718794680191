import { PROJECTORS } from '@frugaljs/projectors';
import { describeProjectorLaws } from '@frugaljs/testing/vitest';
import { expect, it } from 'vitest';
import { BACKENDS } from './backends.js';
import { BUILT_IN_PROJECTORS } from './built-in-projectors.js';

for (const [name, { factory, claims }] of Object.entries(BUILT_IN_PROJECTORS)) {
  describeProjectorLaws(factory, { ...claims, name, backends: BACKENDS });
}

it('every projector of the package is tried', () => {
  const tried = Object.values(BUILT_IN_PROJECTORS).flatMap(({ kinds }) => kinds);
  expect([...new Set(tried)].sort()).toEqual(Object.keys(PROJECTORS).sort());
});
