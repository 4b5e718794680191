import { type Code, sequence } from '../assembly/code.js';
import { f32x4, i32, repeatWhile, v128 } from '../assembly/instructions.js';
import { integers, ModuleBuilder } from '../assembly/module.js';
import { Program } from '../program.js';
import { FIRST_LANE, f64x2, LANE_BINARY, laneAnd, loadFirstLane, promoteLow } from './lanes.js';

/** Vectors added up side by side, to hide the latency of an addition. */
const STREAMS = 4;

/**
 * `sumSquares(result, from, count, limit)` writes two float64 numbers whose sum is Σ min(max(x, -limit), limit)² over
 * `count` float32 entries; pass Infinity for no limit. It is finite exactly if all entries are, since float64 holds the
 * square of every float32.
 */
export const gradientSumProgram: Program<'sumSquares'> = new Program('gradient sum', () => {
  const module = new ModuleBuilder();
  module.define(
    'sumSquares',
    { ...integers('result', 'from', 'count'), limit: 'f32' },
    ({ result, from, count, limit }, scope) => {
      const sums = scope.locals('v128', STREAMS);
      const [x, low, high] = [scope.local('v128'), scope.local('v128'), scope.local('v128')];
      const first = sums[0]!;
      // minimum and maximum keep NaN, so clipping cannot hide it.
      const accumulate = (load: Code, i: number): Code => {
        const [sum, other] = [sums[i]!, sums[(i + 1) % STREAMS]!];
        const upper = v128.shuffle32(x, x, [2, 3, 2, 3]);
        return sequence(
          x.set(LANE_BINARY.minimum(LANE_BINARY.maximum(load, low), high)),
          sum.set(f64x2.add(sum, squares(promoteLow(x)))),
          other.set(f64x2.add(other, squares(promoteLow(upper)))),
        );
      };
      const squared = scope.local('v128');
      const squares = (doubles: Code): Code => sequence(squared.set(doubles), f64x2.mul(squared, squared));
      return sequence(
        ...sums.map(sum => sum.set(v128.zero)),
        high.set(f32x4.splat(limit)),
        low.set(LANE_BINARY.sub(v128.zero, high)),
        repeatWhile(
          i32.geU(count, 8),
          accumulate(v128.load(from), 0),
          accumulate(v128.load(from, 16), 2),
          from.advance(32),
          count.advance(-8),
        ),
        repeatWhile(count, accumulate(laneAnd(loadFirstLane(from), FIRST_LANE), 0), from.advance(4), count.advance(-1)),
        ...sums.slice(1).map(sum => first.set(f64x2.add(first, sum))),
        v128.store(result, first),
      );
    },
  );
  return module;
});
