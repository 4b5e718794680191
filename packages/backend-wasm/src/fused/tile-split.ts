import { hostValues, matrixView, type SplitAxis, type SplitTier } from '@frugaljs/core';
import type { Tensor } from '@tensorflow/tfjs-core';
import type { CpuArrays } from './cpu-arrays.js';
import type { SplitKernel } from './kernel-cache.js';
import { addNumbers } from './kernel-signature.js';
import { scratchEntries } from './split-kernel.js';
import { tierTensors } from './tier.js';
import { TILE, type TileMemory } from './tile-memory.js';

/** What of a tier's own tensors and indices lies in a tile. */
interface Span {
  readonly from: number;
  readonly to: number;
  readonly list: Int32Array;
  /** Subtracted from the indices. */
  readonly base: number;
}

/** Entries of an array that a tile has changed. */
interface Written {
  readonly values: Float32Array;
  readonly from: number;
  readonly at: number;
  readonly count: number;
}

/** One update of a split parameter, tile by tile. */
export class TileSplit {
  private readonly rows: number;
  private readonly columns: number;
  private readonly lists: readonly Int32Array[];
  /** Indices of each list that earlier tiles have used up. */
  private readonly done: number[];

  /** @param next Where the new values of `w` go. */
  constructor(
    private readonly arrays: CpuArrays,
    private readonly memory: TileMemory,
    private readonly kernel: SplitKernel,
    private readonly axis: SplitAxis,
    private readonly w: Tensor,
    private readonly g: Tensor,
    private readonly tiers: readonly SplitTier[],
    private readonly next: Float32Array,
  ) {
    // A flat split is a single row that is cut anywhere; the others are cut between rows.
    [this.rows, this.columns] = axis === 'element' ? [w.size, 1] : matrixView(w.shape);
    this.lists = tiers.slice(0, -1).map(({ indices }) => arrays.integers(indices!));
    this.done = this.lists.map(() => 0);
  }

  run(): void {
    const perTile = Math.max(1, Math.floor(TILE / this.columns));
    for (let start = 0; start < this.rows; start += perTile) {
      this.runTile(start, Math.min(start + perTile, this.rows));
    }
  }

  private runTile(start: number, end: number): void {
    const { arrays, axis, memory, kernel, columns } = this;
    memory.clear();
    const height = end - start;
    const args = axis === 'element' ? [1, height] : [height, columns];
    args.push(memory.reserve(scratchEntries(axis, columns)));
    const spans = this.lists.map((_, i) => this.span(i, start, end));
    for (const { list, base } of spans) {
      // The driver may look one index ahead at an empty list.
      const at = memory.putIntegers(list, base, Math.max(1, list.length));
      args.push(at, list.length);
    }
    const put = (values: Float32Array, from: number, to: number): number => memory.put(values.subarray(from, to));
    const wAt = put(arrays.floats(this.w), start * columns, end * columns);
    const gAt = put(arrays.floats(this.g), start * columns, end * columns);
    const back: Written[] = [];
    this.tiers.forEach((tier, i) => {
      const spec = kernel.tiers[i]!;
      for (const name of tierTensors(spec)) {
        if (name === 'w' || name === 'g') {
          args.push(name === 'w' ? wAt : gAt);
          continue;
        }
        const compact = tier.compact[name];
        const values = arrays.floats(compact ?? tier.full[name]!);
        const [from, to] = compact === undefined ? [start * columns, end * columns] : [spans[i]!.from, spans[i]!.to];
        const known = back.find(entry => entry.values === values);
        const at = known?.at ?? put(values, from, to);
        if (known === undefined) back.push({ values, from, at, count: to - from });
        args.push(at);
      }
      addNumbers(args, spec, hostValues(spec.graph, tier.scalars));
    });
    kernel.program.on(memory.memory).run(...args);
    back.push({ values: this.next, from: start * columns, at: wAt, count: height * columns });
    for (const { values, from, at, count } of back) values.set(memory.floats(at, count), from);
  }

  /** What of a tier lies in the rows from `start` to `end`, which come after those of the last call. */
  private span(i: number, start: number, end: number): Span {
    const { axis, columns } = this;
    const list = this.lists[i]!;
    if (axis === 'column') return { from: start * list.length, to: end * list.length, list, base: 0 };
    const first = this.done[i]!;
    let last = first;
    while (last < list.length && list[last]! < end) last++;
    this.done[i] = last;
    return { from: first * columns, to: last * columns, list: list.subarray(first, last), base: start };
  }
}
