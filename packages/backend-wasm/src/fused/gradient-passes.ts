import { type Code, f32x4, integers, type Local, ModuleBuilder, sequence, v128 } from '@frugaljs/wasm-assembly';
import { Program } from '../program.js';
import { f64x2, i32x4MaxU, LANE_BINARY, laneAnd, laneIntegers, loadFirstLane, promoteLow } from './lanes.js';
import { visitPlaces } from './places.js';

/** Places that are read at the same time. */
const PLACES = 8;
const MAGNITUDE = 0x7fffffff;
/** Bits of the float32 infinity: the magnitude of every finite number is below. */
const INFINITE_MAGNITUDE = 0x7f800000;

/**
 * The passes over a gradient that may come before an update.
 *
 * - `magnitude(result, from, count)` writes four int32 of which the largest is the largest magnitude, as bits, of
 *   `count` float32 entries. At or above {@link INFINITE_MAGNITUDE} one of them is NaN or infinite.
 * - `sumSquares(result, from, count, limit)` writes two float64 whose sum is Σ min(max(x, -limit), limit)². Pass Infinity
 *   for no limit. NaN and infinite entries make it so, too.
 */
const gradientPasses: Program<'magnitude' | 'sumSquares'> = new Program('gradient passes', () => {
  const module = new ModuleBuilder();
  defineMagnitude(module);
  defineSumSquares(module);
  return module;
});

/** Bytes of memory that a pass needs for its result. */
export const RESULT_BYTES = 16;

/** Whether all of `count` entries at `from` are finite; writes to `result`. */
export function isFinitePart(memory: WebAssembly.Memory, result: number, from: number, count: number): boolean {
  gradientPasses.on(memory).magnitude(result, from, count);
  const magnitudes = new Uint32Array(memory.buffer, result, 4);
  return magnitudes.every(magnitude => magnitude < INFINITE_MAGNITUDE);
}

/** Σ min(max(x, -limit), limit)² over `count` entries at `from`; writes to `result`. */
export function sumSquaresOfPart(
  memory: WebAssembly.Memory,
  result: number,
  from: number,
  count: number,
  limit: number,
): number {
  gradientPasses.on(memory).sumSquares(result, from, count, limit);
  const halves = new Float64Array(memory.buffer, result, 2);
  return halves[0]! + halves[1]!;
}

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
      v128.store(result, first),
    );
  });
}

function defineSumSquares(module: ModuleBuilder): void {
  module.define(
    'sumSquares',
    { ...integers('result', 'from', 'count'), limit: 'f32' },
    ({ result, from, count, limit }, scope) => {
      const [x, low, high, near, lowSum, highSum] = scope.locals('v128', 6) as [
        Local,
        Local,
        Local,
        Local,
        Local,
        Local,
      ];
      // With x first, pmin and pmax keep its NaN, so clipping cannot hide it.
      const squareOf = (load: Code): Code =>
        sequence(x.set(f32x4.pmin(f32x4.pmax(load, low), high)), LANE_BINARY.mul(x, x));
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
        v128.store(result, f64x2.add(lowSum, highSum)),
      );
    },
  );
}
