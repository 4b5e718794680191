import type { Reduction } from '@frugaljs/core';
import {
  Code,
  encode,
  type FunctionScope,
  f32x4,
  type Local,
  type Operand,
  sequence,
  unsigned,
  v128,
} from '@frugaljs/wasm-assembly';
import { FIRST_LANE, f64x2, LANE_BINARY, laneAnd, laneConstant, laneSelect, promoteLow } from './lanes.js';

/** What an empty reduction gives. */
export const IDENTITY: Readonly<Record<Reduction, Code>> = {
  sum: laneConstant(0),
  mean: laneConstant(0),
  max: laneConstant(Number.NEGATIVE_INFINITY),
  min: laneConstant(Number.POSITIVE_INFINITY),
};

/** Combines two vectors lane by lane. */
export const COMBINE: Readonly<Record<Reduction, (a: Operand, b: Operand) => Code>> = {
  sum: LANE_BINARY.add,
  mean: LANE_BINARY.add,
  max: LANE_BINARY.maximum,
  min: LANE_BINARY.minimum,
};

/** A vector of which only the first lane counts, with the identity of a reduction in the others. */
export function firstLaneOnly(reduction: Reduction, x: Operand): Code {
  return reduction === 'sum' || reduction === 'mean'
    ? laneAnd(x, FIRST_LANE)
    : laneSelect(x, IDENTITY[reduction], FIRST_LANE);
}

/** Reduces vectors, one after the other, to one number. Sums are kept in float64. */
export class Accumulator {
  private readonly parts: readonly Local[];

  constructor(
    private readonly reduction: Reduction,
    scope: FunctionScope,
  ) {
    this.parts = scope.locals('v128', this.isSum() ? 2 : 1);
  }

  reset(): Code {
    return sequence(...this.parts.map(part => part.set(this.isSum() ? v128.zero : IDENTITY[this.reduction])));
  }

  add(x: Local): Code {
    const [low, high] = this.parts as [Local, Local];
    if (!this.isSum()) return low.set(COMBINE[this.reduction](low, x));
    const upper = v128.shuffle32(x, x, [2, 3, 2, 3]);
    return sequence(low.set(f64x2.add(low, promoteLow(x))), high.set(f64x2.add(high, promoteLow(upper))));
  }

  /** The same, for a vector of which only the first lane counts. */
  addFirstLane(x: Local, scratch: Local): Code {
    return sequence(scratch.set(firstLaneOnly(this.reduction, x)), this.add(scratch));
  }

  /** The result in all lanes; `count` is the number of entries, for a mean. */
  result(count: Operand): Code {
    const [low, high] = this.parts as [Local, Local];
    if (this.isSum()) {
      const both = f64x2.add(low, high);
      const total = new Code([
        ...low.set(both).bytes,
        ...extractF64(low, 0),
        ...extractF64(low, 1),
        0xa0,
        ...(this.reduction === 'mean' ? [...encode(count), 0xb8, 0xa3] : []),
        0xb6,
      ]);
      return f32x4.splat(total);
    }
    const swap = (lanes: readonly [number, number, number, number]): Code =>
      low.set(COMBINE[this.reduction](low, v128.shuffle32(low, low, lanes)));
    return new Code([...swap([2, 3, 0, 1]).bytes, ...swap([1, 0, 3, 2]).bytes, ...low.bytes]);
  }

  private isSum(): boolean {
    return this.reduction === 'sum' || this.reduction === 'mean';
  }
}

function extractF64(vector: Operand, lane: number): number[] {
  return [...encode(vector), 0xfd, ...unsigned(0x21), lane];
}
