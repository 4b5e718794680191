import { type Code, sequence } from '../assembly/code.js';
import { f32x4, i32, repeatWhile, select, v128 } from '../assembly/instructions.js';
import { integers, type Local, ModuleBuilder } from '../assembly/module.js';
import { Program } from '../program.js';
import { f64x2, i32x4MaxU, LANE_BINARY, laneAnd, laneIntegers, loadFirstLane, promoteLow } from './lanes.js';

/** Vectors added up side by side, to hide the latency of an addition. */
const STREAMS = 4;
/** Entries whose squares are added in float32 before the sum goes on in float64: rounding stays below 1e-5. */
const BLOCK = 4096;
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
    const largest = scope.locals('v128', STREAMS);
    const mask = scope.local('v128');
    const first = largest[0]!;
    const see = (x: Code, i: number): Code => largest[i]!.set(i32x4MaxU(largest[i]!, laneAnd(x, mask)));
    return sequence(
      mask.set(laneIntegers(MAGNITUDE)),
      repeatWhile(
        i32.geU(count, 4 * STREAMS),
        ...largest.map((_, i) => see(v128.load(from, 16 * i), i)),
        from.advance(16 * STREAMS),
        count.advance(-4 * STREAMS),
      ),
      repeatWhile(count, see(loadFirstLane(from), 0), from.advance(4), count.advance(-1)),
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
      const sums = scope.locals('v128', STREAMS);
      const [x, low, high, total] = scope.locals('v128', 4) as [Local, Local, Local, Local];
      const left = scope.local('i32');
      const first = sums[0]!;
      // minimum and maximum keep NaN, so clipping cannot hide it.
      const add = (load: Code, i: number): Code =>
        sequence(
          x.set(LANE_BINARY.minimum(LANE_BINARY.maximum(load, low), high)),
          sums[i]!.set(LANE_BINARY.add(sums[i]!, LANE_BINARY.mul(x, x))),
        );
      const upper = v128.shuffle32(first, first, [2, 3, 2, 3]);
      return sequence(
        high.set(f32x4.splat(limit)),
        low.set(LANE_BINARY.sub(v128.zero, high)),
        total.set(v128.zero),
        repeatWhile(
          count,
          left.set(select(BLOCK, count, i32.gtU(count, BLOCK))),
          count.set(i32.sub(count, left)),
          ...sums.map(sum => sum.set(v128.zero)),
          repeatWhile(
            i32.geU(left, 4 * STREAMS),
            ...sums.map((_, i) => add(v128.load(from, 16 * i), i)),
            from.advance(16 * STREAMS),
            left.advance(-4 * STREAMS),
          ),
          repeatWhile(left, add(loadFirstLane(from), 0), from.advance(4), left.advance(-1)),
          ...sums.slice(1).map(sum => first.set(LANE_BINARY.add(first, sum))),
          total.set(f64x2.add(total, f64x2.add(promoteLow(first), promoteLow(upper)))),
        ),
        v128.store(result, total),
      );
    },
  );
}
