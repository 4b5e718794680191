import {
  type BlockExtent,
  type Extent,
  extentOf,
  interpret,
  type KernelSet,
  matrixView,
  type Shape,
  type SlotSpec,
  type SplitAxis,
  slotShape,
  type TensorExtent,
  Tracer,
} from '@frugaljs/core';
import { add, fill, keep, mean, mul, reshape, type Tensor, tensor, tidy, zeros } from '@tensorflow/tfjs-core';
import { type Gate, gated } from '../finite-check.js';
import { joinPath, type SavedState, type StateReader } from '../saved-state.js';

/** Carries one element-wise tensor of state to the new coordinates of a subspace. */
export type Carry = (x: Tensor, degree: 1 | 2) => Tensor;

/** A change of the coordinates that a subspace covers; absent for subspaces not spanned by coordinates. */
export interface CoordinateMove {
  readonly axis: SplitAxis;
  readonly from: Int32Array;
  readonly to: Int32Array;
}

/** Counts the steps of all slots there are: an update that fails learns from it whether anything was written before. */
export const stepsTaken = { count: 0 };

/**
 * The slots of one rule or combine at one site, and its step counter. Nothing is allocated before the first step: until
 * then a slot is the number it starts from.
 */
export class SlotState<E extends TensorExtent = TensorExtent> {
  /** Steps taken since the start or the last reset. */
  t = 0;
  private tensors: Record<string, Tensor> = {};
  private ages: CoordinateAges | null = null;
  /** Counts the steps that were taken behind a gate, and how often the state began anew: see {@link advance}. */
  private gatedSteps = 0;
  private lives = 0;
  private readonly names: readonly string[];

  constructor(
    readonly specs: Readonly<Record<string, SlotSpec<E>>>,
    private readonly shape: Shape,
  ) {
    this.names = Object.keys(specs);
  }

  /** Adds the current value of every slot to the inputs of a step. */
  addTo(inputs: Record<string, Tensor | number>): void {
    for (const name of this.names) inputs[name] = this.tensors[name] ?? this.specs[name]!.initial ?? 0;
  }

  /** The tensor of a slot; undefined before the first step. */
  current(name: string): Tensor | undefined {
    return this.tensors[name];
  }

  /** The numbers of the coming step when all coordinates have taken equally many steps; else null. */
  scalars(rule: Scaled): Readonly<Record<string, number>> | null {
    return this.ages === null ? (rule.scalars?.(this.t + 1, this.shape) ?? {}) : null;
  }

  /** The numbers of the coming step, one per coordinate along `axis`, when coordinates differ in age. */
  scalarsByAge(rule: Scaled): { readonly axis: Extent; readonly tensors: Record<string, Tensor> } {
    return { axis: this.ages!.axis, tensors: this.ages!.scalars(rule, this.shape, 'coordinate') };
  }

  /** The same numbers, one for each entry. */
  scalarsByEntry(rule: Scaled): Record<string, Tensor> {
    return this.ages!.scalars(rule, this.shape, 'entry');
  }

  /** True when coordinates have taken different numbers of steps. */
  get hasAges(): boolean {
    return this.ages !== null;
  }

  /**
   * The tensors of all slots, made when there are none yet and copied where somebody else holds their buffer: a kernel
   * may write them in place. Call {@link advance} when it has.
   */
  writable(kernels: KernelSet): Readonly<Record<string, Tensor>> {
    for (const name of this.names) {
      const current = this.tensors[name];
      if (current !== undefined && kernels.isSole(current)) continue;
      const { extent, initial = 0 } = this.specs[name]!;
      const fresh = current === undefined ? fill([...slotShape(extent, this.shape)], initial) : mul(current, 1);
      current?.dispose();
      this.tensors[name] = keep(fresh);
    }
    return this.tensors;
  }

  /**
   * Counts a step whose values were written in place. If the device skips it, the count is taken back, unless the state
   * has begun anew since.
   */
  advance(gate: Gate | null): void {
    stepsTaken.count += 1;
    this.t += 1;
    this.ages?.advance();
    if (this.ages?.uniform()) this.becomeUniform();
    if (gate === null) return;
    this.gatedSteps += 1;
    const { gatedSteps, lives } = this;
    gate.ifSkipped(() => {
      if (this.lives !== lives) return;
      this.t -= 1;
      this.ages?.withdraw(this.gatedSteps - gatedSteps);
      if (this.ages?.uniform()) this.becomeUniform();
    });
  }

  /**
   * Takes over the next values, or on the device those there are where the step is skipped, and counts the step.
   */
  commit(outputs: Readonly<Record<string, Tensor>>, gate: Gate | null): void {
    this.replace(gate === null ? outputs : this.gated(outputs, gate));
    this.advance(gate);
  }

  /** Carries the state to a new subspace. */
  transport(carry: Carry, move: CoordinateMove | null): void {
    if (this.t === 0) return;
    this.replace(tidy(() => Object.fromEntries(this.names.map(name => [name, this.carried(name, carry)]))));
    // A number shared by a row, a column or all has no age of its own.
    const allPerElement = this.names.every(name => this.extent(name) === 'element');
    if (move === null || !allPerElement) return;
    const ages = this.ages ?? CoordinateAges.equal(move.axis, move.from.length, this.t);
    this.ages = ages.move(move.from, move.to);
    if (this.ages.uniform()) this.becomeUniform();
  }

  plan(path: string): readonly PlannedTensor[] {
    return this.names.map(name => ({
      path: joinPath(path, name),
      shape: slotShape(this.specs[name]!.extent, this.shape),
      role: 'slot',
    }));
  }

  reset(): void {
    for (const tensor of Object.values(this.tensors)) tensor.dispose();
    this.tensors = {};
    this.t = 0;
    this.ages = null;
    this.lives += 1;
  }

  save(path: string, into: SavedState): void {
    if (this.t === 0) return;
    into.set(joinPath(path, 't'), this.t);
    if (this.ages !== null) into.set(joinPath(path, 'ages'), this.ages.counts());
    for (const name of this.names) into.set(joinPath(path, name), this.tensors[name]!);
  }

  restore(path: string, from: StateReader, axis: CoordinateMove['axis'] = 'element', coordinates = 0): void {
    this.reset();
    if (!from.has(joinPath(path, 't'))) return;
    const t = from.counter(joinPath(path, 't'));
    const agesPath = joinPath(path, 'ages');
    const ages = from.has(agesPath) ? CoordinateAges.of(axis, from.integers(agesPath, coordinates)) : null;
    const restored = this.plan(path).map(planned => from.tensor(planned.path, planned.shape));
    this.names.forEach((name, i) => {
      this.tensors[name] = keep(restored[i]!.clone());
    });
    this.t = t;
    this.ages = ages;
  }

  private gated(next: Readonly<Record<string, Tensor>>, gate: Gate): Record<string, Tensor> {
    const current: Record<string, Tensor | number> = {};
    this.addTo(current);
    return Object.fromEntries(this.names.map(name => [name, gated(gate, next[name]!, current[name]!)]));
  }

  /** All coordinates are of one age, and one counter serves them. */
  private becomeUniform(): void {
    this.t = this.ages!.first() ?? this.t;
    this.ages = null;
  }

  private replace(next: Readonly<Record<string, Tensor>>): void {
    for (const name of this.names) {
      const tensor = keep(next[name]!);
      this.tensors[name]?.dispose();
      this.tensors[name] = tensor;
    }
  }

  /** The extent of a slot; `null` for one with a shape of its own. */
  private extent(name: string): Extent | null {
    const extent: TensorExtent = this.specs[name]!.extent;
    return typeof extent === 'object' && 'shape' in extent ? null : extentOf(extent);
  }

  /** Values per row, column or block are spread over the elements, carried, and averaged again. */
  private carried(name: string, carry: Carry): Tensor {
    const { degree = 1 } = this.specs[name]!;
    const extent = this.extent(name);
    const current = this.tensors[name]!;
    if (extent === 'tensor' || extent === null) return current.clone();
    if (extent === 'element') return carry(current, degree);
    if (extent !== 'row' && extent !== 'column')
      return carriedBlocks(current, extent, this.shape, x => carry(x, degree));
    const spread = carry(reshape(add(zeros([...this.shape]), current), [...this.shape]), degree);
    const [rows, columns] = [slotShape('row', this.shape)[0]!, slotShape('column', this.shape)[1]!];
    return mean(reshape(spread, [rows, columns]), extent === 'row' ? 1 : 0, true);
  }
}

/** The average is over the columns that a block has: the last one of a row may have fewer than the others. */
function carriedBlocks(current: Tensor, extent: BlockExtent, shape: Shape, carry: (x: Tensor) => Tensor): Tensor {
  const tracer = new Tracer();
  const [slot, x, one] = [tracer.input('slot', extent), tracer.input('x', 'element'), tracer.input('one', 'element')];
  const spreading = tracer.graph({ x: slot }, { x: 'element' });
  const averaging = tracer.graph({ slot: x.sum(extent).div(one.sum(extent)) }, { slot: extent });
  const spread = interpret(spreading, { slot: current }, {}, shape)['x']!;
  return interpret(averaging, { x: carry(spread), one: 1 }, {}, shape)['slot']!;
}

/** A rule as far as its per-step numbers go. */
interface Scaled {
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

/** One tensor of a rule's state, before it exists. */
export interface PlannedTensor {
  readonly path: string;
  readonly shape: readonly number[];
  readonly role: 'slot' | 'basis';
}
