import { type Combine, type Graph, inputNames, interpret, type Shape, traceCombine } from '@frugaljs/core';
import type { Tensor } from '@tensorflow/tfjs-core';
import type { PendingVerdict } from './gate.js';
import type { PlannedTensor } from './planned-tensor.js';
import { joinPath, type SavedState, type StateReader } from './saved-state.js';
import { SlotState } from './slot-state.js';

/** A combine at work on one parameter. The rule on the residual is not its own. */
export class BoundCombine {
  readonly graph: Graph;
  /** It reads the residual or a direction found on it. */
  readonly readsResidual: boolean;
  readonly hasState: boolean;
  /** It has no state and reads nothing but the two directions: without them its result is zero. */
  private readonly onlyMixes: boolean;
  private readonly slots: SlotState;

  constructor(
    combine: Combine,
    private readonly shape: Shape,
  ) {
    this.slots = new SlotState(combine.state(shape), shape);
    this.graph = traceCombine(combine, shape);
    const reads = inputNames(this.graph);
    this.readsResidual = reads.includes('residual') || reads.includes('residualDirection');
    this.hasState = Object.keys(this.slots.specs).length > 0;
    this.onlyMixes = !reads.includes('g') && !reads.includes('residual') && !this.hasState;
  }

  /**
   * The direction of the whole; null for zeros.
   *
   * @param inputs The inputs of a combine by name, 0 for a tensor of zeros. Slots are added.
   */
  step(inputs: Record<string, Tensor | number>, verdict: PendingVerdict | undefined): Tensor | null {
    if (inputs['lifted'] === 0 && inputs['residualDirection'] === 0 && this.onlyMixes) return null;
    this.slots.addTo(inputs);
    const outputs = interpret(this.graph, inputs, {}, this.shape);
    this.slots.commit(outputs, verdict);
    return outputs['direction']!;
  }

  plan(): readonly PlannedTensor[] {
    return this.slots.plan('combine');
  }

  withhold(ordinal: number): void {
    this.slots.withhold(ordinal);
  }

  reset(): void {
    this.slots.reset();
  }

  save(path: string, into: SavedState): void {
    if (this.hasState) this.slots.save(joinPath(path, 'combine'), into);
  }

  restore(path: string, from: StateReader): void {
    if (this.hasState) this.slots.restore(joinPath(path, 'combine'), from);
  }
}
