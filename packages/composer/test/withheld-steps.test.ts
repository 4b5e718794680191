import { randomKey, randomNormals, soleSite } from '@frugaljs/core';
import { columns } from '@frugaljs/projectors';
import { adamW } from '@frugaljs/state-full';
import '@tensorflow/tfjs-backend-cpu';
import { scalar, setBackend, tensor, tidy } from '@tensorflow/tfjs-core';
import { beforeAll, expect, test } from 'vitest';
import { subspace } from '../src/index.js';
import { bind } from '../src/runtime/bind.js';
import type { BoundRule } from '../src/runtime/bound-rule.js';
import type { SavedState } from '../src/runtime/saved-state.js';
import './fixtures.js';

const SHAPE = [3, 12];
const SITE = soleSite('w', SHAPE, 1);

// Verdicts of a device, given by hand and as late as they like: no driver is needed to have them wrong.
beforeAll(() => setBackend('cpu'));

function begin(): { readonly rule: BoundRule; step(t: number, ordinal: number, known: number): void } {
  const use = subspace({
    projector: columns({ density: 0.5 }),
    rule: adamW(),
    refresh: { every: 3 },
    onRefresh: 'transport',
  });
  const rule = bind(use, SITE);
  let updates = 0;
  return {
    rule,
    step: (t, ordinal, known) =>
      tidy(() => {
        const isBad = t < 0;
        const g = tensor(randomNormals(randomKey(9, Math.abs(t)), 36), [3, 12]);
        rule.step(g, { update: updates++, verdict: { proceed: scalar(isBad ? 0 : 1), ordinal, known } });
      }),
  };
}

function stateOf(rule: BoundRule): Record<string, number[]> {
  const state: SavedState = new Map();
  rule.save('', state);
  return Object.fromEntries(
    [...state].map(([name, value]) => {
      if (typeof value === 'number') return [name, [value]];
      return [name, value instanceof Int32Array ? Array.from(value) : Array.from(value.dataSync())];
    }),
  );
}

test('steps taken back late leave the ages of coordinates that stayed and of those that came since', () => {
  const late = begin();
  // The second step of the first subspace is left out; the third and a change of the subspace follow unaware.
  late.step(1, 1, 0);
  late.step(-2, 2, 1);
  late.step(3, 3, 1);
  late.step(4, 4, 1);
  const before = stateOf(late.rule);
  expect(new Set(before['rule/ages'])).toEqual(new Set([4, 1]));
  late.rule.withhold(2);
  const after = stateOf(late.rule);
  expect(after['rule/ages']).toEqual(before['rule/ages']!.map(age => (age === 4 ? 3 : 1)));
  expect(after['rule/t']).toEqual([3]);
  // Taken back once, and never one that is not there.
  late.rule.withhold(2);
  late.rule.withhold(77);
  expect(stateOf(late.rule)).toEqual(after);
  late.rule.dispose();
});

test('a step that the state has outlived is not taken back from what began since', () => {
  const late = begin();
  late.step(-1, 1, 0);
  late.rule.reset();
  late.step(2, 2, 0);
  late.rule.withhold(1);
  expect(stateOf(late.rule)['rule/t']).toEqual([1]);
  late.rule.dispose();
});

test('verdicts that are known are not kept', () => {
  const late = begin();
  for (let t = 1; t <= 3; t++) late.step(t, t, t - 1);
  late.rule.withhold(1);
  expect(stateOf(late.rule)['rule/t']).toEqual([3]);
  late.rule.dispose();
});
