import { type Code, f32x4, f64x2, integers, type Local, ModuleBuilder, sequence, v128 } from '@frugaljs/wasm-assembly';
import { Program } from '../program.js';
import { i32x4MaxU, LANE_BINARY, laneAnd, laneIntegers, loadFirstLane, promoteLow, visitPlaces } from './lanes.js';

/** Places that are read at the same time. */
const PLACES = 8;
const MAGNITUDE = 0x7fffffff;
/** Bits of the float32 infinity: the magnitude of every finite number is below. */
export const INFINITE_MAGNITUDE = 0x7f800000;

/**
 * The passes over a gradient that may come before an update.
 *
 * - `magnitude(result, from, count)` writes the largest magnitude, as the bits of a float32, of `count` float32 entries.
 *   At or above {@link INFINITE_MAGNITUDE} one of them is NaN or infinite.
 * - `sumSquares(result, from, count, limit)` writes Σ min(max(x, -limit), limit)² as a float64. Pass Infinity for no
 *   limit. One NaN or infinite entry, whatever the limit, makes it NaN or infinite.
 */
export const gradientPasses: Program<'magnitude' | 'sumSquares'> = new Program('gradient passes', () => {
  const module = new ModuleBuilder();
  defineMagnitude(module);
  defineSumSquares(module);
  return module;
});

/** Bytes of memory that a pass writes, of which the result is the start. */
export const RESULT_BYTES = 16;

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
        from,
        count,
        PLACES,
        places => sequence(...places.map((at, i) => see(v128.load(at), i))),
        at => see(loadFirstLane(at), 0),
      ),
      ...largest.slice(1).map(other => first.set(i32x4MaxU(first, other))),
      first.set(i32x4MaxU(first, v128.shuffle32(first, first, [2, 3, 0, 1]))),
      v128.store(result, i32x4MaxU(first, v128.shuffle32(first, first, [1, 0, 3, 2]))),
    );
  });
}

function defineSumSquares(module: ModuleBuilder): void {
  module.define(
    'sumSquares',
    { ...integers('result', 'from', 'count'), limit: 'f32' },
    ({ result, from, count, limit }, scope) => {
      const [g, x, low, high, near, lowSum, highSum] = scope.locals('v128', 7) as [
        Local,
        Local,
        Local,
        Local,
        Local,
        Local,
        Local,
      ];
      // Infinity would become the limit: 0 · g, which is NaN for it and else adds nothing, keeps it from passing for finite.
      const squareOf = (load: Code): Code =>
        sequence(
          g.set(load),
          x.set(f32x4.pmin(f32x4.pmax(g, low), high)),
          LANE_BINARY.add(LANE_BINARY.mul(x, x), LANE_BINARY.mul(g, v128.zero)),
        );
      /** A few squares are added in float32, the rest of the sum is in float64. */
      const add = (loads: readonly Code[]): Code =>
        sequence(
          near.set(squareOf(loads[0]!)),
          ...loads.slice(1).map(load => near.set(LANE_BINARY.add(squareOf(load), near))),
          lowSum.set(f64x2.add(lowSum, promoteLow(near))),
          highSum.set(f64x2.add(highSum, promoteLow(v128.shuffle32(near, near, [2, 3, 2, 3])))),
        );
      return sequence(
        high.set(f32x4.splat(limit)),
        low.set(LANE_BINARY.sub(v128.zero, high)),
        lowSum.set(v128.zero),
        highSum.set(v128.zero),
        visitPlaces(
          scope,
          from,
          count,
          PLACES,
          places => add(places.map(at => v128.load(at))),
          at => add([loadFirstLane(at)]),
        ),
        lowSum.set(f64x2.add(lowSum, highSum)),
        v128.store(result, f64x2.add(lowSum, v128.shuffle32(lowSum, lowSum, [2, 3, 0, 1]))),
      );
    },
  );
}
