import { STATE_FULL_RULES } from '@frugaljs/state-full/table';
import { describeRuleLaws } from '@frugaljs/testing/vitest';
import { expect, it } from 'vitest';
import { BACKENDS } from '../../../tools/test-support/backends.js';
import { isTriedAlone } from '../../../tools/test-support/rule-catalog.js';
import { STATE_FULL_CLAIMS } from './claims.js';

for (const { kind, factory, claims } of STATE_FULL_CLAIMS) {
  describeRuleLaws(factory, { ...claims, name: kind, backends: BACKENDS });
}

it.each(STATE_FULL_RULES.map(({ kind }) => kind))('%s is tried', kind => {
  const listed = STATE_FULL_CLAIMS.some(claimed => claimed.kind === kind);
  expect(listed || isTriedAlone(import.meta.dirname, `describeRuleLaws(${kind}`)).toBe(true);
});
