import { integers, ModuleBuilder, sequence, v128 } from '@frugaljs/wasm-assembly';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { LANE_BINARY, laneConstant, loadFirstLane, storeLane, visitPlaces } from '../src/fused/lanes.js';

const ONE = laneConstant(1);
const GUARD = 16;
const memory = new WebAssembly.Memory({ initial: 16 });

/** A function `(from, count)` that adds 1 to every entry it visits. */
function visitor(places: number): (from: number, count: number) => void {
  const module = new ModuleBuilder();
  module.define('visit', integers('from', 'count'), ({ from, count }, scope) => {
    const value = scope.local('v128');
    return visitPlaces(
      scope,
      from,
      count,
      places,
      offsets => sequence(...offsets.map(at => v128.store(at, LANE_BINARY.add(v128.load(at), ONE)))),
      at => sequence(value.set(LANE_BINARY.add(loadFirstLane(at), ONE)), storeLane(at, value, 0)),
    );
  });
  const bytes = module.encode({ shared: false });
  const { exports } = new WebAssembly.Instance(new WebAssembly.Module(bytes), { heap: { memory } });
  return exports['visit'] as (from: number, count: number) => void;
}

test.each([1, 2, 4, 8])('every entry is visited once at %i places, and no other', places => {
  const visit = visitor(places);
  // Places of more than 1024 vectors lie differently in their pages.
  const long = 4 * 1024 * places;
  const counts = fc.oneof(fc.nat(4 * long), fc.nat(40), fc.integer({ min: long - 40, max: long + 40 }));
  fc.assert(
    fc.property(counts, count => {
      const values = new Float32Array(memory.buffer, 0, GUARD + count + GUARD).fill(0);
      visit(4 * GUARD, count);
      const expected = new Float32Array(values.length).fill(1, GUARD, GUARD + count);
      expect(values.findIndex((value, i) => value !== expected[i])).toBe(-1);
    }),
    { numRuns: 60, seed: 1 },
  );
});
