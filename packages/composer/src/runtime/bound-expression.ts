import { type ExpressionRule, type Graph, interpret, type Shape, type Site, traceRule } from '@frugaljs/core';
import type { Tensor } from '@tensorflow/tfjs-core';
import type { BoundRule, RestoreContext, StepContext } from './bound-rule.js';
import type { PlannedTensor } from './planned-tensor.js';
import type { SavedState, StateReader } from './saved-state.js';
import { type Carry, type CoordinateMove, SlotState } from './slot-state.js';

/** An expression rule at work, run by the reference interpreter. */
export class BoundExpression implements BoundRule {
  readonly slots: SlotState;
  readonly graph: Graph;
  private graphByAge: Graph | null = null;

  constructor(
    readonly rule: ExpressionRule,
    private site: Site,
  ) {
    this.slots = new SlotState(rule.state(site.shape), site.shape);
    this.graph = traceRule(rule, site.shape);
  }

  step(g: Tensor, { parameter, verdict }: StepContext): Tensor {
    const { shape } = this.site;
    const inputs: Record<string, Tensor | number> = { g };
    if (parameter !== undefined) inputs['parameter'] = parameter;
    this.slots.addTo(inputs);
    const scalars = this.slots.scalars(this.rule);
    const outputs = scalars === null ? this.stepByAge(inputs) : interpret(this.graph, inputs, scalars, shape);
    this.slots.commit(outputs, verdict);
    return outputs['direction']!;
  }

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

  /** The same step with per-coordinate numbers in place of the per-step ones. */
  private stepByAge(inputs: Record<string, Tensor | number>): Record<string, Tensor> {
    const { axis, tensors } = this.slots.scalarsByAge(this.rule);
    this.graphByAge ??= traceRule(this.rule, this.site.shape, axis);
    return interpret(this.graphByAge, { ...inputs, ...tensors }, {}, this.site.shape);
  }
}
