import { describeCombineLaws } from '@frugaljs/testing/vitest';
import { BACKENDS } from './backends.js';
import { BUILT_IN_COMBINES } from './built-in-combines.js';

for (const [name, { factory, claims }] of Object.entries(BUILT_IN_COMBINES)) {
  describeCombineLaws(factory, { ...claims, name, backends: BACKENDS });
}
