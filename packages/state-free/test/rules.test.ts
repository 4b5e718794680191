import { sizeOf, slotBytes } from '@frugaljs/core';
import { normalizedSgd, STATE_FREE_RULES, sinkGd } from '@frugaljs/state-free';
import { memory } from '@tensorflow/tfjs-core';
import { describe, expect, it } from 'vitest';
import { BACKENDS, useBackend } from '../../../tools/test-support/backends.js';
import { gradientStream, SHAPES } from '../../../tools/test-support/gradients.js';
import { describeOptions } from '../../../tools/test-support/rule-catalog.js';
import { directionOf } from '../../../tools/test-support/rule-run.js';

const RULES = [
  ...STATE_FREE_RULES.map(entry => entry.factory()),
  normalizedSgd({ per: 'row', norm: 'rms' }),
  normalizedSgd({ per: 'column', epsilon: 0 }),
  sinkGd({ iterations: 1 }),
];
const NAMED = RULES.map(rule => [`${rule.kind} ${JSON.stringify(rule.options)}`, rule] as const);

describe.each(NAMED)('%s', (_name, rule) => {
  describeOptions(rule, STATE_FREE_RULES, { momentum: 0.9 });

  it('has no state', () => {
    for (const shape of SHAPES) expect(slotBytes(rule.state(shape), shape)).toBe(0);
  });
});

describe('the table of rules', () => {
  it.each([
    ['normalized-sgd', 'normalizedSgd'],
    ['sgd', 'sgd'],
    ['sign-sgd', 'signSgd'],
    ['sink-gd', 'sinkGd'],
  ])('lists what %s exports', async (file, kind) => {
    const module: Record<string, unknown> = await import(`@frugaljs/state-free/${file}`);
    const entries = STATE_FREE_RULES.filter(entry => entry.kind === kind);
    expect(entries.map(entry => entry.factory)).toEqual([module[kind]]);
    expect(entries[0]!.factory().kind).toBe(kind);
  });
});

describe.each(BACKENDS)('on %s', backend => {
  useBackend(backend);

  describe.each(NAMED)('%s', (_name, rule) => {
    it('does not move for gradients of 0', () => {
      for (const shape of SHAPES) {
        expect(directionOf(rule, shape, new Float32Array(sizeOf(shape))).every(x => x === 0)).toBe(true);
      }
    });

    it('passes NaN on', () => {
      for (const shape of SHAPES) {
        const gradient = gradientStream(60, shape, 1)[0]!.map((g, i) => (i === 0 ? Number.NaN : g));
        expect(directionOf(rule, shape, gradient)[0]).toBeNaN();
      }
    });

    it('treats a tensor as the matrix of its last axis', () => {
      const gradient = gradientStream(61, [2, 3, 4], 1)[0]!;
      expect(directionOf(rule, [2, 3, 4], gradient)).toEqual(directionOf(rule, [6, 4], gradient));
    });

    it('frees everything but its result', () => {
      for (const shape of SHAPES) {
        const before = memory().numTensors;
        directionOf(rule, shape, gradientStream(62, shape, 1)[0]!);
        expect(memory().numTensors).toBe(before);
      }
    });
  });
});
