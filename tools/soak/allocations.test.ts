import { expect, test } from 'vitest';
import { COMPOSITIONS, PLACES } from '../test-support/compositions.js';
import { CALLS, disturb } from './allocations.js';

// A part of what `npm run soak -- allocations` does: every composition at one place, every place with one of them.

/** Of the points of an update, one in so many is tried. */
const EVERY = 5;

function complaints(where: string, { faults }: { readonly faults: readonly string[] }): string[] {
  return faults.map(fault => `${where}: ${fault}`);
}

test.each(COMPOSITIONS)('an update of %s happens whole or not at all, whatever fails in it', async name => {
  // The fourth update refreshes some of the subspaces, and transports the state of some.
  const outcomes = await disturb({
    backend: 'cpu',
    kernels: 'auto',
    composition: name,
    call: 'an update',
    after: 4,
    every: EVERY,
  });
  expect(complaints(name, outcomes)).toEqual([]);
  expect(outcomes.points).toBeGreaterThan(10);
  expect(outcomes.unchanged).toBeGreaterThan(0);
  expect(outcomes.unchanged + outcomes.torn).toBe(Math.ceil(outcomes.points / EVERY));
});

test.each(PLACES)('on $backend, kernels $kernels, calls of every kind', async place => {
  for (const call of CALLS) {
    const every = place.kernels === 'reference' ? 5 : 1;
    const settings = { accumulate: 2 };
    const outcomes = await disturb({ ...place, composition: 'frugal-randK', call, after: 3, settings, every });
    expect(complaints(call, outcomes)).toEqual([]);
    expect(outcomes.points).toBeGreaterThan(0);
  }
});

test('where all fails from some point on, as in a heap that is full', async () => {
  const outcomes = await disturb({
    backend: 'wasm',
    kernels: 'auto',
    composition: 'frugal-svd',
    call: 'an update',
    after: 4,
    duration: 'from then on',
    every: 2,
  });
  expect(complaints('frugal-svd', outcomes)).toEqual([]);
  expect(outcomes.torn).toBeGreaterThan(0);
});
