import { randomKey, randomNormals, soleSite } from '@frugaljs/core';
import { columns } from '@frugaljs/projectors';
import { adamW } from '@frugaljs/state-full';
import '@tensorflow/tfjs-backend-cpu';
import { scalar, setBackend, tensor, tidy } from '@tensorflow/tfjs-core';
import { beforeAll, expect, test } from 'vitest';
import type { BoundRule } from '../src/bound/rules.js';
import { bind } from '../src/bound/subspace.js';
import { subspace } from '../src/index.js';
import type { SavedState } from '../src/saved-state.js';
import './fixtures.js';

const SHAPE = [3, 12];
const SITE = soleSite('w', SHAPE, 1);

// What a device found, told by hand and as late as it likes: no driver is needed to have it wrong.
beforeAll(() => setBackend('cpu'));

interface Run {
  readonly rule: BoundRule;
  /** Takes a step; a negative number is a gradient that the device finds not finite. */
  step(t: number): void;
  /** The host learns that the nth step was skipped. */
  skip(nth: number): void;
}

function begin(): Run {
  const use = subspace({
    projector: columns({ density: 0.5 }),
    rule: adamW(),
    refresh: { every: 3 },
    onRefresh: 'transport',
  });
  const rule = bind(use, SITE);
  const steps: (() => void)[][] = [];
  return {
    rule,
    step: t =>
      tidy(() => {
        const takeBack: (() => void)[] = [];
        const gate = { proceed: scalar(t < 0 ? 0 : 1), ifSkipped: (each: () => void) => void takeBack.push(each) };
        const g = tensor(randomNormals(randomKey(9, Math.abs(t)), 36), [3, 12]);
        rule.step(g, { update: steps.length, rate: 1, gate });
        steps.push(takeBack);
      }),
    skip: nth => {
      for (const takeBack of steps[nth - 1]!) takeBack();
    },
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
  // The second step of the first subspace is skipped; the third and a change of the subspace follow unaware.
  late.step(1);
  late.step(-2);
  late.step(3);
  late.step(4);
  const before = stateOf(late.rule);
  expect(new Set(before['rule/ages'])).toEqual(new Set([4, 1]));
  late.skip(2);
  const after = stateOf(late.rule);
  expect(after['rule/ages']).toEqual(before['rule/ages']!.map(age => (age === 4 ? 3 : 1)));
  expect(after['rule/t']).toEqual([3]);
  late.rule.dispose();
});

test('two steps taken back in a row count each of those that followed', () => {
  const late = begin();
  for (const t of [1, -2, -3, 4]) late.step(t);
  late.skip(2);
  late.skip(3);
  const { 'rule/ages': ages, 'rule/t': t } = stateOf(late.rule);
  expect(new Set(ages)).toEqual(new Set([2, 1]));
  expect(t).toEqual([2]);
  late.rule.dispose();
});

test('a step that the state has outlived is not taken back from what began since', () => {
  const late = begin();
  late.step(-1);
  late.rule.reset();
  late.step(2);
  late.skip(1);
  expect(stateOf(late.rule)['rule/t']).toEqual([1]);
  late.rule.dispose();
});
