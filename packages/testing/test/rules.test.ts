import { STATE_FREE_RULES } from '@frugaljs/state-free/table';
import { STATE_FULL_RULES } from '@frugaljs/state-full/table';
import { describeRuleLaws } from '@frugaljs/testing/vitest';
import { expect, it } from 'vitest';
import { BACKENDS } from './backends.js';
import { BUILT_IN_RULES } from './built-in-rules.js';

for (const { kind, factory, claims } of BUILT_IN_RULES) {
  describeRuleLaws(factory, { ...claims, name: kind, backends: BACKENDS });
}

it('every rule of the packages is tried', () => {
  const known = [...STATE_FULL_RULES, ...STATE_FREE_RULES].map(({ kind }) => kind);
  expect(BUILT_IN_RULES.map(({ kind }) => kind).sort()).toEqual(known.sort());
});
