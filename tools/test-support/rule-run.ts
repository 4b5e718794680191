import {
  type ExpressionRule,
  type Graph,
  interpret,
  type Rule,
  type Shape,
  type StateFreeRule,
  slotShape,
  type TensorRule,
  traceRule,
} from '@frugaljs/core';
import { dispose, fill, type Tensor, tensor, tidy } from '@tensorflow/tfjs-core';

/** Steps a rule by hand: the smallest thing that keeps its state and counts its steps. */
export class RuleRun {
  private readonly rule: ExpressionRule | TensorRule;
  private readonly graph: Graph | null;
  private slots: Record<string, Tensor>;
  private t = 0;

  constructor(
    rule: Rule,
    private readonly shape: Shape,
  ) {
    if (rule.type === 'subspace') throw new Error('a subspace rule needs the composer');
    this.rule = rule;
    this.graph = rule.type === 'expression' ? traceRule(rule, shape) : null;
    this.slots = Object.fromEntries(
      Object.entries(rule.state(shape)).map(([name, slot]) => [
        name,
        fill([...slotShape(slot.extent, shape)], slot.initial ?? 0),
      ]),
    );
  }

  /** The direction for one gradient. */
  step(gradient: ArrayLike<number>, parameter?: ArrayLike<number>): Float32Array {
    this.t++;
    const { rule, graph, shape } = this;
    const g = tensor(Float32Array.from(gradient), [...shape], 'float32');
    const scalars = rule.scalars?.(this.t, shape) ?? {};
    const inputs: Record<string, Tensor> = { ...this.slots, g };
    if (parameter !== undefined) inputs['parameter'] = tensor(Float32Array.from(parameter), [...shape], 'float32');
    const outputs: Record<string, Tensor> =
      rule.type === 'expression'
        ? interpret(graph!, inputs, scalars, shape)
        : tidy(() => ({ ...rule.step(inputs as Record<string, Tensor> & { g: Tensor }, scalars, shape) }));
    dispose(inputs);
    const { direction, ...next } = outputs;
    this.slots = next;
    const values = direction!.dataSync<'float32'>().slice();
    dispose(direction!);
    return values;
  }

  /** The values of a slot. */
  slot(name: string): Float32Array {
    return this.slots[name]!.dataSync<'float32'>().slice();
  }

  /** The names and shapes of the slots as they are now. */
  slotShapes(): Record<string, readonly number[]> {
    return Object.fromEntries(Object.entries(this.slots).map(([name, slot]) => [name, slot.shape]));
  }

  dispose(): void {
    dispose(this.slots);
  }
}

/** The directions of a fresh rule for a list of gradients. */
export function directions(
  rule: Rule,
  shape: Shape,
  gradients: readonly ArrayLike<number>[],
  parameter?: ArrayLike<number>,
): Float32Array[] {
  const run = new RuleRun(rule, shape);
  const result = gradients.map(gradient => run.step(gradient, parameter));
  run.dispose();
  return result;
}

/** The direction of a rule without state for one gradient. */
export function directionOf(rule: StateFreeRule, shape: Shape, gradient: ArrayLike<number>): Float32Array {
  return directions(rule, shape, [gradient])[0]!;
}
