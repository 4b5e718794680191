import '@tensorflow/tfjs-backend-cpu';
import '@tensorflow/tfjs-backend-wasm';
import { InvalidOptionError, slotBytes } from '@frugaljs/core';
import { describeRuleLaws } from '@frugaljs/testing/vitest';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { templateRule } from '../src/template-rule.js';

// The laws of rules, and what this one claims: its formula in plain numbers, for one entry.
describeRuleLaws(templateRule, {
  options: fc.record({ momentum: fc.constantFrom(0.9, 0.5, 0) }),
  permutations: 'entries',
  firstStep: g => g,
  recursion: ({ momentum }) => ({
    initial: [0],
    step: (g, [m]) => ({ direction: momentum * m! + g, state: [momentum * m! + g] }),
  }),
  backends: ['cpu', 'wasm'],
});

describe('templateRule', () => {
  it('declares the state it keeps', () => {
    expect(slotBytes(templateRule().state([2, 3]), [2, 3])).toBe(4 * 6);
  });

  it.each([{ momentum: 1 }, { momentum: -0.1 }, { momentum: Number.NaN }, { unknown: 1 }])('refuses %j', options => {
    expect(() => templateRule(options)).toThrow(InvalidOptionError);
  });
});
