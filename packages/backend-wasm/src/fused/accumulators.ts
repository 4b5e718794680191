import type { Reduction } from '@frugaljs/core';
import {
  Code,
  encode,
  type FunctionScope,
  f32x4,
  f64x2,
  type Local,
  type Operand,
  sequence,
  v128,
} from '@frugaljs/wasm-assembly';
import { FIRST_LANE, LANE_BINARY, laneAnd, laneConstant, laneSelect, promoteLow } from './lanes.js';
import { hasFourBlocks, type Width } from './matrix-walk.js';

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

/** Combines the lanes of a vector with those that lie so far away: then all have the result of the pair. */
function combineLanes(reduction: Reduction, x: Local, lanes: readonly [number, number, number, number]): Code {
  return x.set(COMBINE[reduction](x, v128.shuffle32(x, x, lanes)));
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
        ...f64x2.lane(low, 0).bytes,
        ...f64x2.lane(low, 1).bytes,
        0xa0,
        ...(this.reduction === 'mean' ? [...encode(count), 0xb8, 0xa3] : []),
        0xb6,
      ]);
      return f32x4.splat(total);
    }
    return sequence(
      combineLanes(this.reduction, low, [2, 3, 0, 1]),
      combineLanes(this.reduction, low, [1, 0, 3, 2]),
      low,
    );
  }

  private isSum(): boolean {
    return this.reduction === 'sum' || this.reduction === 'mean';
  }
}

/** Entries of a block that are added up in float32, four sums side by side. */
const FEW = 32;

/** Reduces blocks: four of them to one lane each, or one to all lanes. In `first lane` only that lane counts. */
export class BlockAccumulator {
  /** Vectors that are combined before their lanes are: one for each of four blocks, or for two where blocks have 2. */
  private readonly parts: readonly Local[];
  /** For blocks of many entries. */
  private readonly precise: Accumulator | null;

  /** @param value Where the result goes. */
  constructor(
    private readonly reduction: Reduction,
    private readonly size: number,
    private readonly value: Local,
    private readonly spare: Local,
    scope: FunctionScope,
  ) {
    this.precise = size > FEW ? new Accumulator(reduction, scope) : null;
    this.parts = hasFourBlocks(size) ? scope.locals('v128', Math.min(4, size)) : [];
  }

  /** Comes before the first entry of one block; four begin with their first vectors. */
  reset(width: Width): Code {
    if (this.isOfFour(width)) return sequence();
    return this.precise?.reset() ?? this.value.set(IDENTITY[this.reduction]);
  }

  /** @param vector Number of the vector in its block, or among those of the four. */
  add(x: Local, width: Width, vector: number): Code {
    const { parts, precise, reduction, size, value } = this;
    if (this.isOfFour(width)) {
      const perPart = Math.max(1, size / 4);
      const part = parts[Math.floor(vector / perPart)]!;
      return part.set(vector % perPart === 0 ? x : COMBINE[reduction](part, x));
    }
    if (precise === null) return value.set(COMBINE[reduction](value, x));
    return width === 'vector' ? precise.add(x) : precise.addFirstLane(x, this.spare);
  }

  finish(width: Width): Code {
    const { parts, precise, reduction, size, value } = this;
    if (precise !== null) return value.set(precise.result(size));
    const code: Code[] = [];
    if (this.isOfFour(width)) {
      // A sum of zeros begins with +0, and so does not end as -0.
      code.push(value.set(COMBINE[reduction](pairwise(reduction, parts), IDENTITY[reduction])));
    } else if (width === 'vector') {
      code.push(combineLanes(reduction, value, [2, 3, 0, 1]), combineLanes(reduction, value, [1, 0, 3, 2]));
    }
    if (reduction !== 'mean') return sequence(...code);
    // By a power of two, multiplying is dividing.
    const isExact = (size & (size - 1)) === 0;
    const [operation, by] = isExact ? (['mul', 1 / size] as const) : (['div', size] as const);
    return sequence(...code, value.set(LANE_BINARY[operation](value, laneConstant(by))));
  }

  private isOfFour(width: Width): boolean {
    return width === 'vector' && hasFourBlocks(this.size);
  }
}

/** Combines neighboring lanes until each vector that goes in has become one lane, or two of them two each. */
function pairwise(reduction: Reduction, parts: readonly Operand[]): Operand {
  if (parts.length === 1) return parts[0]!;
  const half = parts.length / 2;
  const [a, b] = [pairwise(reduction, parts.slice(0, half)), pairwise(reduction, parts.slice(half))];
  return COMBINE[reduction](v128.shuffle32(a, b, [0, 2, 4, 6]), v128.shuffle32(a, b, [1, 3, 5, 7]));
}
