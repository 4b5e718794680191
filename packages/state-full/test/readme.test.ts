import { STATE_FULL_RULES } from '@frugaljs/state-full';
import { expect, it } from 'vitest';
import { ReadmeTables } from '../../../tools/test-support/readme-tables.js';
import { describeReadme } from '../../../tools/test-support/rule-catalog.js';

const readme = new ReadmeTables(new URL('../README.md', import.meta.url));

describeReadme(readme, STATE_FULL_RULES);

it('the README gives the bytes of state', () => {
  const formulas = readme.titled('rule', 'direction', 'state, bytes').map(([kind, , formula]) => [kind, formula]);
  expect(formulas).toEqual(STATE_FULL_RULES.map(entry => [entry.kind, entry.stateFormula]));
});
