import { type Extent, type Shape, type SlotSpec, type SplitAxis, slotShape } from '@frugaljs/core';
import { add, fill, keep, mean, mul, reshape, type Tensor, tidy, zeros } from '@tensorflow/tfjs-core';
import { CoordinateAges, type Scaled } from './coordinate-ages.js';
import { gated, type PendingVerdict } from './gate.js';
import type { PlannedTensor } from './planned-tensor.js';
import { joinPath, type SavedState, type StateReader } from './saved-state.js';

/** Carries one element-wise tensor of state to the new coordinates of a subspace. */
export type Carry = (x: Tensor, degree: 1 | 2) => Tensor;

/** A change of the coordinates that a subspace covers; absent for subspaces not spanned by coordinates. */
export interface CoordinateMove {
  readonly axis: SplitAxis;
  readonly from: Int32Array;
  readonly to: Int32Array;
}

/**
 * The slots of one rule or combine at one site, and its step counter. Nothing is allocated before the first step: until
 * then a slot is the number it starts from.
 */
export class SlotState {
  /** Steps taken since the start or the last reset. */
  t = 0;
  private tensors: Record<string, Tensor> = {};
  private ages: CoordinateAges | null = null;
  /** Ordinals of the counted steps whose verdict is not known, ascending. */
  private pending: number[] = [];
  private readonly names: readonly string[];

  constructor(
    readonly specs: Readonly<Record<string, SlotSpec>>,
    private readonly shape: Shape,
  ) {
    this.names = Object.keys(specs);
  }

  /** Adds the current value of every slot to the inputs of a step. */
  addTo(inputs: Record<string, Tensor | number>): void {
    for (const name of this.names) inputs[name] = this.tensors[name] ?? this.specs[name]!.initial ?? 0;
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
  hasAges(): boolean {
    return this.ages !== null;
  }

  /**
   * The tensors of all slots, made when there are none yet and copied where `isSole` tells that somebody else holds
   * their buffer: a kernel may write them in place. Call {@link advance} when it has.
   */
  writable(isSole: (tensor: Tensor) => boolean): Readonly<Record<string, Tensor>> {
    for (const name of this.names) {
      const current = this.tensors[name];
      if (current !== undefined && isSole(current)) continue;
      const { extent, initial = 0 } = this.specs[name]!;
      const fresh = current === undefined ? fill([...slotShape(extent, this.shape)], initial) : mul(current, 1);
      current?.dispose();
      this.tensors[name] = keep(fresh);
    }
    return this.tensors;
  }

  /** Counts a step whose values were written in place. */
  advance(verdict?: PendingVerdict | null): void {
    this.t += 1;
    if (verdict) this.remember(verdict);
    this.ages?.advance();
    if (this.ages?.uniform()) this.becomeUniform(this.ages.first() ?? this.t);
  }

  /** Takes back the count of a step that the device left out, unless the state has begun anew since. */
  withhold(ordinal: number): void {
    const place = this.pending.indexOf(ordinal);
    if (place < 0) return;
    this.pending.splice(place, 1);
    this.t -= 1;
    this.ages?.withdraw(this.pending.length - place);
    if (this.ages?.uniform()) this.becomeUniform(this.ages.first() ?? this.t);
  }

  /**
   * Takes over the next values and counts the step.
   *
   * @param verdict Tells the device whether the values are to stay as they are. The step counts until {@link withhold}.
   */
  commit(outputs: Readonly<Record<string, Tensor>>, verdict?: PendingVerdict): void {
    this.replace(verdict === undefined ? outputs : this.gated(outputs, verdict.proceed));
    this.advance(verdict);
  }

  /** Carries the state to a new subspace. */
  transport(carry: Carry, move: CoordinateMove | null): void {
    if (this.t === 0) return;
    this.replace(tidy(() => Object.fromEntries(this.names.map(name => [name, this.carried(name, carry)]))));
    // A number shared by a row, a column or all has no age of its own.
    const allPerElement = this.names.every(name => this.specs[name]!.extent === 'element');
    if (move === null || !allPerElement) return;
    const ages = this.ages ?? CoordinateAges.equal(move.axis, move.from.length, this.t);
    this.ages = ages.move(move.from, move.to);
    if (this.ages.uniform()) this.becomeUniform(this.ages.first() ?? this.t);
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
    this.pending = [];
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

  private gated(next: Readonly<Record<string, Tensor>>, proceed: Tensor): Record<string, Tensor> {
    const current: Record<string, Tensor | number> = {};
    this.addTo(current);
    return Object.fromEntries(this.names.map(name => [name, gated(proceed, next[name]!, current[name]!)]));
  }

  private remember({ ordinal, known }: PendingVerdict): void {
    while (this.pending.length > 0 && this.pending[0]! <= known) this.pending.shift();
    this.pending.push(ordinal);
  }

  private becomeUniform(t: number): void {
    this.t = t;
    this.ages = null;
  }

  private replace(next: Readonly<Record<string, Tensor>>): void {
    for (const name of this.names) {
      const tensor = keep(next[name]!);
      this.tensors[name]?.dispose();
      this.tensors[name] = tensor;
    }
  }

  /** Values per row or column are spread over the elements, carried, and averaged again. */
  private carried(name: string, carry: Carry): Tensor {
    const { extent, degree = 1 } = this.specs[name]!;
    const current = this.tensors[name]!;
    if (extent === 'tensor') return current.clone();
    if (extent === 'element') return carry(current, degree);
    const spread = carry(reshape(add(zeros([...this.shape]), current), [...this.shape]), degree);
    const [rows, columns] = [slotShape('row', this.shape)[0]!, slotShape('column', this.shape)[1]!];
    return mean(reshape(spread, [rows, columns]), extent === 'row' ? 1 : 0, true);
  }
}
