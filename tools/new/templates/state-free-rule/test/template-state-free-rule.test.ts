import '@tensorflow/tfjs-backend-cpu';
import '@tensorflow/tfjs-backend-wasm';
import { InvalidOptionError, slotBytes } from '@frugaljs/core';
import { describeRuleLaws } from '@frugaljs/testing/vitest';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { templateStateFreeRule } from '../src/template-state-free-rule.js';

const clamp = (g: number, limit: number): number => Math.min(Math.max(g, -limit), limit);

// The laws of rules, and what this one claims: its formula in plain numbers, for one entry.
describeRuleLaws(templateStateFreeRule, {
  options: fc.record({ limit: fc.constantFrom(1, 0.5, 4) }),
  permutations: 'entries',
  bound: (_t, { limit }) => limit,
  firstStep: (g, { limit }) => clamp(g, limit),
  recursion: ({ limit }) => ({ initial: [], step: g => ({ direction: clamp(g, limit), state: [] }) }),
  backends: ['cpu', 'wasm'],
});

describe('templateStateFreeRule', () => {
  it('keeps no state', () => {
    expect(slotBytes(templateStateFreeRule().state([2, 3]), [2, 3])).toBe(0);
  });

  it.each([{ limit: 0 }, { limit: -1 }, { limit: Number.NaN }, { unknown: 1 }])('refuses %j', options => {
    expect(() => templateStateFreeRule(options)).toThrow(InvalidOptionError);
  });
});
