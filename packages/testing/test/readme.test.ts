import { COMBINE_LAWS, KERNEL_LAWS, OPTIMIZER_LAWS, PROJECTOR_LAWS, RULE_LAWS, WRAPPER_LAWS } from '@frugaljs/testing';
import { expect, it } from 'vitest';
import { ReadmeTables } from '../../../tools/test-support/readme-tables.js';

const readme = new ReadmeTables(new URL('../README.md', import.meta.url));

it.each([
  ['projectors', PROJECTOR_LAWS],
  ['rules', RULE_LAWS],
  ['combines', COMBINE_LAWS],
  ['wrappers', WRAPPER_LAWS],
  ['optimizers', OPTIMIZER_LAWS],
  ['kernels', KERNEL_LAWS],
])('the README lists the laws of %s, in their order', (kind, laws) => {
  const rows = readme.after(`## Laws of ${kind}`);
  expect(rows).toEqual(laws.map(({ name, formula }) => [name, formula.replaceAll('|', '\\|')]));
});

it.each([
  ['projectors', PROJECTOR_LAWS],
  ['rules', RULE_LAWS],
  ['combines', COMBINE_LAWS],
  ['wrappers', WRAPPER_LAWS],
  ['optimizers', OPTIMIZER_LAWS],
  ['kernels', KERNEL_LAWS],
])('laws of %s have names of their own, and need laws that come before them', (_kind, laws) => {
  const names = laws.map(({ name }) => name);
  expect(new Set(names).size).toBe(names.length);
  laws.forEach(({ needs = [], why }, i) => {
    expect(why.length).toBeGreaterThan(20);
    for (const needed of needs) expect(names.slice(0, i)).toContain(needed);
  });
});
