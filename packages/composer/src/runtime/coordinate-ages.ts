import { matrixView, type Shape, type SplitAxis } from '@frugaljs/core';
import { type Tensor, tensor } from '@tensorflow/tfjs-core';

/** A rule as far as its per-step numbers go. */
export interface Scaled {
  scalars?(t: number, shape: Shape): Readonly<Record<string, number>>;
}

/**
 * Steps that each coordinate of a moving coordinate subspace has taken since it came in. When state is transported, a
 * coordinate that enters starts from zero, and with the counter of those that stayed its first bias-corrected Adam step
 * would be up to 1/√10 · 10 ≈ 3.2 times too long; so each has a counter of its own.
 *
 * Those that came in together stay of one age, so ages are kept per cohort: a step costs as much as there are cohorts.
 */
export class CoordinateAges {
  private constructor(
    readonly axis: SplitAxis,
    /** The cohort of each coordinate. */
    private readonly cohorts: Int32Array,
    /** The age of each cohort. */
    private readonly ages: Int32Array,
  ) {}

  /** Coordinates of the given ages. */
  static of(axis: SplitAxis, counts: Int32Array): CoordinateAges {
    const cohorts = new Int32Array(counts.length);
    const cohortOf = new Map<number, number>();
    for (let i = 0; i < counts.length; i++) {
      const age = counts[i]!;
      if (!cohortOf.has(age)) cohortOf.set(age, cohortOf.size);
      cohorts[i] = cohortOf.get(age)!;
    }
    return new CoordinateAges(axis, cohorts, Int32Array.from(cohortOf.keys()));
  }

  /** Coordinates of one age. */
  static equal(axis: SplitAxis, count: number, age: number): CoordinateAges {
    return new CoordinateAges(axis, new Int32Array(count), Int32Array.of(age));
  }

  /** The axis that a coordinate projector selects along, from the shape before and after. */
  static axisOf(full: Shape, reduced: Shape, coordinates: number): SplitAxis {
    const [rows, columns] = matrixView(full);
    const [reducedRows, reducedColumns] = matrixView(reduced);
    if (reducedRows === coordinates && reducedColumns === columns) return 'row';
    if (reducedColumns === coordinates && reducedRows === rows) return 'column';
    return 'element';
  }

  /** The age of each coordinate. */
  counts(): Int32Array {
    return this.cohorts.map(cohort => this.ages[cohort]!);
  }

  /** The age of the first coordinate, which is that of all when they are uniform; undefined if there are none. */
  first(): number | undefined {
    return this.cohorts.length === 0 ? undefined : this.ages[this.cohorts[0]!];
  }

  /** The ages after a move between ascending lists: those that stayed keep theirs, those that entered begin at 0. */
  move(from: Int32Array, to: Int32Array): CoordinateAges {
    // Cohorts that have nobody left are dropped; those that entered are the last.
    const entered = this.ages.length;
    const moved = new Int32Array(to.length).fill(entered);
    for (let i = 0, j = 0; i < from.length && j < to.length; ) {
      if (from[i]! < to[j]!) i++;
      else if (from[i]! > to[j]!) j++;
      else moved[j++] = this.cohorts[i++]!;
    }
    const isKept = new Uint8Array(entered + 1);
    for (let j = 0; j < moved.length; j++) isKept[moved[j]!] = 1;
    const place = new Int32Array(entered + 1);
    const ages: number[] = [];
    for (let cohort = 0; cohort <= entered; cohort++) {
      place[cohort] = ages.length;
      if (isKept[cohort] === 1) ages.push(cohort === entered ? 0 : this.ages[cohort]!);
    }
    for (let j = 0; j < moved.length; j++) moved[j] = place[moved[j]!]!;
    return new CoordinateAges(this.axis, moved, Int32Array.from(ages));
  }

  advance(): void {
    for (let cohort = 0; cohort < this.ages.length; cohort++) this.ages[cohort]! += 1;
  }

  /** Takes back a step after which there were `later` ones: those that have entered since did not take it. */
  withdraw(later: number): void {
    for (let cohort = 0; cohort < this.ages.length; cohort++) if (this.ages[cohort]! > later) this.ages[cohort]! -= 1;
  }

  /** True when all ages are equal, so that one number serves all. */
  uniform(): boolean {
    return this.ages.every(age => age === this.ages[0]);
  }

  /**
   * The per-step scalars of a rule.
   *
   * @param per One value per coordinate, shaped to broadcast over the reduced gradient, or one per entry of it.
   */
  scalars(rule: Scaled, shape: Shape, per: 'coordinate' | 'entry'): Record<string, Tensor> {
    if (rule.scalars === undefined) return {};
    const byCohort = Array.from(this.ages, age => rule.scalars!(age + 1, shape));
    const { axis, cohorts } = this;
    const perEntry = per === 'entry' || axis === 'element';
    const layout = perEntry ? [...shape] : axis === 'row' ? [cohorts.length, 1] : [1, cohorts.length];
    return Object.fromEntries(
      Object.keys(byCohort[0] ?? {}).map(name => {
        const ofCohort = Float32Array.from(byCohort, scalars => scalars[name]!);
        const values = new Float32Array(cohorts.length);
        for (let i = 0; i < values.length; i++) values[i] = ofCohort[cohorts[i]!]!;
        return [name, tensor(perEntry ? this.entries(values, shape) : values, layout)];
      }),
    );
  }

  /** The value of its coordinate for each entry of the reduced gradient. */
  private entries(values: Float32Array, shape: Shape): Float32Array {
    if (this.axis === 'element') return values;
    const [rows, columns] = matrixView(shape);
    const entries = new Float32Array(rows * columns);
    for (let row = 0; row < rows; row++) {
      if (this.axis === 'row') entries.fill(values[row]!, row * columns, (row + 1) * columns);
      else entries.set(values, row * columns);
    }
    return entries;
  }
}
