import { matrixView, type Shape, type SplitAxis } from '@frugaljs/core';
import { type Tensor, tensor } from '@tensorflow/tfjs-core';

/** A rule as far as its per-step numbers go. */
export interface Scaled {
  scalars?(t: number, shape: Shape): Readonly<Record<string, number>>;
}

/**
 * Steps that each coordinate of a moving coordinate subspace has taken since it came in. When state is transported, a
 * coordinate that enters starts from zero, and with the counter of those that stayed its first bias-corrected Adam step
 * would be up to 1/√10 · 10 ≈ 3.2 times too long (algorithms D2); so each has a counter of its own.
 */
export class CoordinateAges {
  constructor(
    readonly axis: SplitAxis,
    readonly counts: Int32Array,
  ) {}

  /** The axis that a coordinate projector selects along, from the shape before and after. */
  static axisOf(full: Shape, reduced: Shape, coordinates: number): SplitAxis {
    const [rows, columns] = matrixView(full);
    const [reducedRows, reducedColumns] = matrixView(reduced);
    if (reducedRows === coordinates && reducedColumns === columns) return 'row';
    if (reducedColumns === coordinates && reducedRows === rows) return 'column';
    return 'element';
  }

  /** The ages after a move: those that stayed keep theirs, those that entered begin at 0. */
  move(from: Int32Array, to: Int32Array): CoordinateAges {
    const known = new Map<number, number>();
    from.forEach((index, i) => {
      known.set(index, this.counts[i]!);
    });
    return new CoordinateAges(
      this.axis,
      to.map(index => known.get(index) ?? 0),
    );
  }

  advance(): void {
    for (let i = 0; i < this.counts.length; i++) this.counts[i]! += 1;
  }

  /** Takes back a step after which there were `later` ones: those that have entered since did not take it. */
  withdraw(later: number): void {
    for (let i = 0; i < this.counts.length; i++) if (this.counts[i]! > later) this.counts[i]! -= 1;
  }

  /** True when all ages are equal, so that one number serves all. */
  uniform(): boolean {
    return this.counts.every(count => count === this.counts[0]);
  }

  /** The per-step scalars of a rule, one value per coordinate, shaped to broadcast over the reduced gradient. */
  scalars(rule: Scaled, shape: Shape): Record<string, Tensor> {
    if (rule.scalars === undefined) return {};
    const byAge = new Map<number, Readonly<Record<string, number>>>();
    for (const age of this.counts) if (!byAge.has(age)) byAge.set(age, rule.scalars(age + 1, shape));
    const names = Object.keys(byAge.values().next().value ?? {});
    const { axis, counts } = this;
    const layout = axis === 'row' ? [counts.length, 1] : axis === 'column' ? [1, counts.length] : [...shape];
    return Object.fromEntries(
      names.map(name => [
        name,
        tensor(
          Float32Array.from(counts, age => byAge.get(age)![name]!),
          layout,
        ),
      ]),
    );
  }
}
