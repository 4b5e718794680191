import '@tensorflow/tfjs-backend-cpu';
import '@tensorflow/tfjs-backend-wasm';
import { InvalidOptionError, slotBytes } from '@frugaljs/core';
import { describeCombineLaws } from '@frugaljs/testing/vitest';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { templateCombine } from '../src/template-combine.js';

// The laws of combines. One with a rule for the residual also claims `scale`, the factor on that rule's direction.
describeCombineLaws(templateCombine, {
  options: fc.record({ scale: fc.constantFrom(1, 0.5, 0) }),
  backends: ['cpu', 'wasm'],
});

describe('templateCombine', () => {
  it('keeps no state', () => {
    expect(slotBytes(templateCombine().state([2, 3]), [2, 3])).toBe(0);
  });

  it.each([{ scale: -1 }, { scale: Number.NaN }, { tolerance: 1 }, { unknown: 1 }])('refuses %j', options => {
    expect(() => templateCombine(options)).toThrow(InvalidOptionError);
  });
});
