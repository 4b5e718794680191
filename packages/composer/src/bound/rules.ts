import {
  type ExpressionRule,
  type Graph,
  interpret,
  requireSlots,
  type Shape,
  ShapeMismatchError,
  type Site,
  type SlotExtent,
  type SlotSpec,
  sameShape,
  slotShape,
  type TensorExtent,
  type TensorRule,
  traceAverage,
  traceRule,
} from '@frugaljs/core';
import { fill, type Tensor } from '@tensorflow/tfjs-core';
import type { Gate } from '../finite-check.js';
import type { SavedState, StateReader } from '../saved-state.js';
import { type Carry, type CoordinateMove, type PlannedTensor, SlotState } from './slots.js';

/** What a rule needs to know of the step it takes part in. */
export interface StepContext {
  /** Updates made before this one. */
  readonly update: number;
  /** The learning rate times that of the group, ηs, for what reads it. */
  readonly rate: number;
  /** The parameter, for rules that read it; inside a subspace, projected like the gradient. */
  readonly parameter?: Tensor;
  /** Coordinates that enclosing projectors cover. */
  readonly occupied?: Occupied;
  /** Tells the device whether to take the step; null where the host knows that it is taken. */
  readonly gate: Gate | null;
}

/** Name of the per-step number that rules read as their learning rate. */
export const RATE = 'learningRate';

/** The coordinates that enclosing projectors of one kind cover. */
export interface Occupied {
  readonly kind: string;
  /** Ascending indices covered after the given number of updates. */
  at(update: number): Int32Array;
}

/** A rule at work on one parameter: the rule, where it is, and its state. */
export interface BoundRule {
  /**
   * Computes the direction for a gradient and moves the state on. Called inside `tf.tidy`. `null` stands for a
   * direction of zeros: nothing of the parameter is trained at this step.
   */
  step(g: Tensor, context: StepContext): Tensor | null;
  /**
   * The tensors of the state after the step that follows the given number of updates.
   *
   * @param atMost As large as any refresh makes them; blocks have their turns as in that update.
   * @param since The update in which the state last began anew, inside a subspace that moves. Default 0.
   */
  plan(update: number, atMost?: boolean, since?: number): readonly PlannedTensor[];
  /** Reacts to a change of the group that the parameter is in. */
  move(site: Site): void;
  /** Carries the state to new coordinates of the subspace around it. */
  transport(carry: Carry, move: CoordinateMove | null): void;
  /** The average of the weights that the rule keeps, for the weights in training; null if it keeps none. */
  average(parameter: Tensor): Tensor | null;
  /** Starts again from the initial state. */
  reset(): void;
  /** Adds the state to `into`; the tensors stay the rule's own. */
  save(path: string, into: SavedState): void;
  /** Takes over saved state; copies what it keeps. */
  restore(path: string, from: StateReader, context: RestoreContext): void;
  dispose(): void;
}

/** What a rule needs to know to derive again what was not saved. */
export interface RestoreContext {
  readonly occupied?: Occupied;
  /** How the subspace around the rule selects coordinates. */
  readonly coordinates?: { readonly axis: CoordinateMove['axis']; readonly count: number };
}

/** A rule or a combine, which may keep an average of the weights. */
type Averaged = Parameters<typeof traceAverage>[0];

/** The weights that a part would have evaluated, by its state; null if it keeps no average. */
export function averageOf(part: Averaged, slots: Pick<SlotState, 'addTo'>, parameter: Tensor): Tensor | null {
  const graph = traceAverage(part, parameter.shape);
  if (graph === null) return null;
  const inputs: Record<string, Tensor | number> = { parameter };
  slots.addTo(inputs);
  return interpret(graph, inputs, {}, parameter.shape)['weights']!;
}

/** A rule without other rules in it, at work: its state is its slots. */
abstract class BoundLeaf<E extends TensorExtent> implements BoundRule {
  readonly slots: SlotState<E>;

  constructor(
    private readonly part: Averaged,
    state: Readonly<Record<string, SlotSpec<E>>>,
    private site: Site,
  ) {
    this.slots = new SlotState(state, site.shape);
  }

  abstract step(g: Tensor, context: StepContext): Tensor;

  get shape(): Shape {
    return this.site.shape;
  }

  plan(): readonly PlannedTensor[] {
    return this.slots.plan('');
  }

  move(site: Site): void {
    this.site = site;
  }

  transport(carry: Carry, move: CoordinateMove | null): void {
    this.slots.transport(carry, move);
  }

  average(parameter: Tensor): Tensor | null {
    return averageOf(this.part, this.slots, parameter);
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

/** An expression rule at work, run by the reference interpreter. */
export class BoundExpression extends BoundLeaf<SlotExtent> {
  readonly graph: Graph;
  private graphByAge: Graph | null = null;
  private entryGraph: Graph | null = null;

  constructor(
    readonly rule: ExpressionRule,
    site: Site,
  ) {
    super(rule, rule.state(site.shape), site);
    this.graph = traceRule(rule, site.shape);
  }

  step(g: Tensor, { parameter, rate, gate }: StepContext): Tensor {
    const inputs: Record<string, Tensor | number> = { g };
    if (parameter !== undefined) inputs['parameter'] = parameter;
    this.slots.addTo(inputs);
    const scalars = this.slots.scalars(this.rule);
    const outputs =
      scalars === null
        ? this.stepByAge(inputs, rate)
        : interpret(this.graph, inputs, { ...scalars, [RATE]: rate }, this.shape);
    this.slots.commit(outputs, gate);
    return outputs['direction']!;
  }

  /** The same graph with inputs of one number per entry in place of the per-step ones. */
  get graphByEntry(): Graph {
    this.entryGraph ??= traceRule(this.rule, this.shape, 'element');
    return this.entryGraph;
  }

  /** The same step with per-coordinate numbers in place of the per-step ones. */
  private stepByAge(inputs: Record<string, Tensor | number>, rate: number): Record<string, Tensor> {
    const { axis, tensors } = this.slots.scalarsByAge(this.rule);
    this.graphByAge ??= traceRule(this.rule, this.shape, axis);
    return interpret(this.graphByAge, { ...inputs, ...tensors }, { [RATE]: rate }, this.shape);
  }
}

/** A tensor rule at work. */
export class BoundTensorRule extends BoundLeaf<TensorExtent> {
  constructor(
    private readonly rule: TensorRule,
    site: Site,
  ) {
    super(rule, rule.state(site.shape), site);
    requireSlots(rule.kind, this.slots.specs, true);
  }

  step(g: Tensor, { parameter, rate, gate }: StepContext): Tensor {
    const { shape } = this;
    const { reads = [] } = this.rule;
    const inputs: Record<string, Tensor | number> = { g };
    this.slots.addTo(inputs);
    const tensors: Record<string, Tensor> = { g };
    if (reads.includes('parameter')) tensors['parameter'] = parameter!;
    for (const [name, spec] of Object.entries(this.slots.specs)) {
      const value = inputs[name]!;
      tensors[name] = typeof value === 'number' ? fill([...slotShape(spec.extent, shape)], value) : value;
    }
    const numbers = this.rule.scalars?.(this.slots.t + 1, shape) ?? {};
    const scalars = reads.includes('learningRate') ? { ...numbers, [RATE]: rate } : numbers;
    const outputs: Readonly<Record<string, Tensor>> = this.rule.step(tensors as { g: Tensor }, scalars, shape);
    this.requireShapes(outputs);
    this.slots.commit(this.withoutInputs(outputs, tensors), gate);
    return outputs['direction']!;
  }

  /** Its scalars are numbers, so all coordinates share one step counter. */
  override transport(carry: Carry): void {
    super.transport(carry, null);
  }

  override restore(path: string, from: StateReader): void {
    super.restore(path, from, {});
  }

  /** A slot that a step hands back unchanged must not be disposed with its old value. */
  private withoutInputs(
    outputs: Readonly<Record<string, Tensor>>,
    inputs: Readonly<Record<string, Tensor>>,
  ): Record<string, Tensor> {
    const isInput = new Set(Object.values(inputs));
    return Object.fromEntries(
      Object.entries(outputs).map(([name, tensor]) => [name, isInput.has(tensor) ? tensor.clone() : tensor]),
    );
  }

  private requireShapes(outputs: Readonly<Record<string, Tensor>>): void {
    const { shape } = this;
    const expected = { direction: shape } as Record<string, readonly number[]>;
    for (const [name, spec] of Object.entries(this.slots.specs)) expected[name] = slotShape(spec.extent, shape);
    for (const [name, wanted] of Object.entries(expected)) {
      const found = outputs[name]?.shape;
      if (found === undefined || !sameShape(found, wanted)) {
        throw new ShapeMismatchError({
          parameter: `${this.rule.kind}.step: ${name}`,
          found: found === undefined ? 'nothing' : `shape [${found}]`,
          expected: `shape [${wanted}]`,
        });
      }
    }
  }
}
