import { type Code, sequence } from '../assembly/code.js';
import { f32x4, i32, v128 } from '../assembly/instructions.js';
import { integers, type Local, ModuleBuilder } from '../assembly/module.js';
import { Program } from '../program.js';
import { f64x2, i32x4MaxU, LANE_BINARY, laneAnd, laneIntegers, loadFirstLane, promoteLow } from './lanes.js';
import { visitPlaces } from './places.js';

/** Places that are read at the same time. */
const PLACES = 8;
const MAGNITUDE = 0x7fffffff;
/** Bits of the float32 infinity: the magnitude of every finite number is below. */
export const INFINITE_MAGNITUDE = 0x7f800000;

/**
 * The passes over a gradient that may come before an update.
 *
 * - `magnitude(result, from, count)` writes four int32 of which the largest is the largest magnitude, as bits, of
 *   `count` float32 entries. At or above {@link INFINITE_MAGNITUDE} one of them is NaN or infinite.
 * - `sumSquares(result, from, count, limit)` writes two float64 whose sum is Σ min(max(x, -limit), limit)². Pass Infinity
 *   for no limit. NaN and infinite entries make it so, too.
 */
export const gradientPasses: Program<'magnitude' | 'sumSquares'> = new Program('gradient passes', () => {
  const module = new ModuleBuilder();
  defineMagnitude(module);
  defineSumSquares(module);
  return module;
});

function defineMagnitude(module: ModuleBuilder): void {
  module.define('magnitude', integers('result', 'from', 'count'), ({ result, from, count }, scope) => {
    const largest = scope.locals('v128', PLACES);
    const mask = scope.local('v128');
    const first = largest[0]!;
    const see = (x: Code, i: number): Code => largest[i]!.set(i32x4MaxU(largest[i]!, laneAnd(x, mask)));
    return sequence(
      mask.set(laneIntegers(MAGNITUDE)),
      visitPlaces(
        scope,
        count,
        PLACES,
        (at, place) => see(v128.load(i32.add(from, at)), place),
        at => see(loadFirstLane(i32.add(from, at)), 0),
      ),
      ...largest.slice(1).map(other => first.set(i32x4MaxU(first, other))),
      v128.store(result, first),
    );
  });
}

function defineSumSquares(module: ModuleBuilder): void {
  module.define(
    'sumSquares',
    { ...integers('result', 'from', 'count'), limit: 'f32' },
    ({ result, from, count, limit }, scope) => {
      const sums = scope.locals('v128', PLACES);
      const [x, low, high] = scope.locals('v128', 3) as [Local, Local, Local];
      const upper = v128.shuffle32(x, x, [2, 3, 2, 3]);
      // minimum and maximum keep NaN, so clipping cannot hide it.
      const add = (load: Code, sum: Local): Code =>
        sequence(
          x.set(LANE_BINARY.minimum(LANE_BINARY.maximum(load, low), high)),
          x.set(LANE_BINARY.mul(x, x)),
          sum.set(f64x2.add(f64x2.add(sum, promoteLow(x)), promoteLow(upper))),
        );
      const first = sums[0]!;
      return sequence(
        high.set(f32x4.splat(limit)),
        low.set(LANE_BINARY.sub(v128.zero, high)),
        ...sums.map(sum => sum.set(v128.zero)),
        visitPlaces(
          scope,
          count,
          PLACES,
          (at, place) => add(v128.load(i32.add(from, at)), sums[place]!),
          at => add(loadFirstLane(i32.add(from, at)), first),
        ),
        ...sums.slice(1).map(sum => first.set(f64x2.add(first, sum))),
        v128.store(result, first),
      );
    },
  );
}
