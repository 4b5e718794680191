import { readdirSync, readFileSync } from 'node:fs';
import { STATE_FREE_RULES } from '@frugaljs/state-free/table';
import { describeRuleLaws } from '@frugaljs/testing/vitest';
import { expect, it } from 'vitest';
import { BACKENDS } from './backends.js';
import { STATE_FREE_CLAIMS } from './claims.js';

for (const { kind, factory, claims } of STATE_FREE_CLAIMS) {
  describeRuleLaws(factory, { ...claims, name: kind, backends: BACKENDS });
}

// A rule may also be tried in a test of its own, as a generated one is.
const ownTests = readdirSync(import.meta.dirname)
  .filter(file => file.endsWith('.test.ts'))
  .map(file => readFileSync(`${import.meta.dirname}/${file}`, 'utf8'));

it.each(STATE_FREE_RULES.map(({ kind }) => kind))('%s is tried', kind => {
  const listed = STATE_FREE_CLAIMS.some(claimed => claimed.kind === kind);
  expect(listed || ownTests.some(text => text.includes(`describeRuleLaws(${kind}`))).toBe(true);
});
