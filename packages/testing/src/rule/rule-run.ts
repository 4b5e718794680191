import {
  type ExpressionRule,
  type Graph,
  interpret,
  type Rule,
  type Shape,
  type SlotSpec,
  sizeOf,
  slotShape,
  type TensorRule,
  traceRule,
} from '@frugaljs/core';
import { dispose, type Tensor, tensor, tidy } from '@tensorflow/tfjs-core';

/** A rule that can be stepped by itself. */
export type PlainRule = ExpressionRule | TensorRule;

/** What a rule returned in one step. */
export interface RuleStep {
  readonly direction: Float32Array;
  readonly slots: Readonly<Record<string, Float32Array>>;
  /** Shapes of all results, by name. */
  readonly shapes: Readonly<Record<string, Shape>>;
}

/** Steps a rule by hand: the least that keeps its state and counts its steps. Numbers go in and come out. */
export class RuleRun {
  readonly specs: Readonly<Record<string, SlotSpec>>;
  private readonly graph: Graph | null;
  private slots: Record<string, Float32Array>;
  private t = 0;

  constructor(
    private readonly rule: PlainRule,
    private readonly shape: Shape,
  ) {
    this.graph = rule.type === 'expression' ? traceRule(rule, shape) : null;
    this.specs = rule.state(shape);
    this.slots = Object.fromEntries(
      Object.entries(this.specs).map(([name, { extent, initial = 0 }]) => [
        name,
        new Float32Array(sizeOf(slotShape(extent, shape))).fill(initial),
      ]),
    );
  }

  /** State that another run reached, as loading a checkpoint would set it. */
  resume(slots: Readonly<Record<string, Float32Array>>, t: number): void {
    this.slots = { ...slots };
    this.t = t;
  }

  async step(gradient: ArrayLike<number>, parameter?: ArrayLike<number>): Promise<RuleStep> {
    this.t++;
    const { inputs, scalars } = this.arguments(gradient, parameter);
    const outputs = this.call(inputs, scalars);
    const { direction, ...slots } = await valuesOf(outputs);
    const shapes = Object.fromEntries(Object.entries(outputs).map(([name, x]) => [name, x.shape]));
    free(inputs);
    free(outputs);
    this.slots = slots;
    return { direction: direction!, slots, shapes };
  }

  /** The tensors and numbers of the next step. */
  arguments(
    gradient: ArrayLike<number>,
    parameter?: ArrayLike<number>,
  ): { inputs: Record<string, Tensor>; scalars: Readonly<Record<string, number>> } {
    const { rule, shape } = this;
    const toTensor = (x: ArrayLike<number>, of: Shape): Tensor => tensor(Float32Array.from(x), [...of], 'float32');
    const inputs: Record<string, Tensor> = { g: toTensor(gradient, shape) };
    for (const [name, { extent }] of Object.entries(this.specs)) {
      inputs[name] = toTensor(this.slots[name]!, slotShape(extent, shape));
    }
    if (rule.type === 'expression' && rule.readsParameter) {
      inputs['parameter'] = toTensor(parameter ?? new Float32Array(inputs['g']!.size).fill(1), shape);
    }
    return { inputs, scalars: rule.scalars?.(Math.max(1, this.t), shape) ?? {} };
  }

  /** One call of the rule, which owns nothing it returns. */
  call(inputs: Record<string, Tensor>, scalars: Readonly<Record<string, number>>): Record<string, Tensor> {
    const { rule, shape, graph } = this;
    if (rule.type === 'expression') return interpret(graph!, inputs, scalars, shape);
    return tidy(() => ({ ...rule.step(inputs as Record<string, Tensor> & { g: Tensor }, scalars, shape) }));
  }
}

/** The directions of a fresh rule for a list of gradients. */
export async function directionsOf(
  rule: PlainRule,
  shape: Shape,
  gradients: readonly ArrayLike<number>[],
): Promise<Float32Array[]> {
  const run = new RuleRun(rule, shape);
  const directions: Float32Array[] = [];
  for (const gradient of gradients) directions.push((await run.step(gradient)).direction);
  return directions;
}

/** Copies of the entries of float32 tensors, by name. */
export async function valuesOf(tensors: Readonly<Record<string, Tensor>>): Promise<Record<string, Float32Array>> {
  const entries = Object.entries(tensors).map(
    async ([name, x]): Promise<[string, Float32Array]> => [name, (await x.data<'float32'>()).slice()],
  );
  return Object.fromEntries(await Promise.all(entries));
}

/** Frees a record of tensors. */
export function free(tensors: Readonly<Record<string, Tensor>>): void {
  dispose(Object.values(tensors));
}

/** Narrows a rule to one that can be stepped by itself. */
export function plainRule(rule: Rule): PlainRule {
  if (rule?.type === 'subspace') {
    throw new TypeError('A subspace rule needs a composition; try it with the laws of optimizers.');
  }
  return rule;
}
