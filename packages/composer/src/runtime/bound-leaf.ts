import type { Shape, Site, SlotSpec } from '@frugaljs/core';
import type { Tensor } from '@tensorflow/tfjs-core';
import type { BoundRule, RestoreContext, StepContext } from './bound-rule.js';
import type { PlannedTensor } from './planned-tensor.js';
import type { SavedState, StateReader } from './saved-state.js';
import { type Carry, type CoordinateMove, SlotState } from './slot-state.js';

/** A rule without other rules in it, at work: its state is its slots. */
export abstract class BoundLeaf implements BoundRule {
  readonly slots: SlotState;

  constructor(
    state: Readonly<Record<string, SlotSpec>>,
    private site: Site,
  ) {
    this.slots = new SlotState(state, site.shape);
  }

  abstract step(g: Tensor, context: StepContext): Tensor;

  get shape(): Shape {
    return this.site.shape;
  }

  prepare(): void {}

  plan(): readonly PlannedTensor[] {
    return this.slots.plan('');
  }

  move(site: Site): void {
    this.site = site;
  }

  release(): void {}

  withhold(ordinal: number): void {
    this.slots.withhold(ordinal);
  }

  transport(carry: Carry, move: CoordinateMove | null): void {
    this.slots.transport(carry, move);
  }

  reset(): void {
    this.slots.reset();
  }

  save(path: string, into: SavedState): void {
    this.slots.save(path, into);
  }

  restore(path: string, from: StateReader, { coordinates }: RestoreContext): void {
    this.slots.restore(path, from, coordinates?.axis, coordinates?.count);
  }

  dispose(): void {
    this.slots.reset();
  }
}
