import { type ExpressionRule, type Graph, interpret, type Site, traceRule } from '@frugaljs/core';
import type { Tensor } from '@tensorflow/tfjs-core';
import { BoundLeaf } from './bound-leaf.js';
import type { StepContext } from './bound-rule.js';

/** An expression rule at work, run by the reference interpreter. */
export class BoundExpression extends BoundLeaf {
  readonly graph: Graph;
  private graphByAge: Graph | null = null;
  private entryGraph: Graph | null = null;

  constructor(
    readonly rule: ExpressionRule,
    site: Site,
  ) {
    super(rule.state(site.shape), site);
    this.graph = traceRule(rule, site.shape);
  }

  step(g: Tensor, { parameter, verdict }: StepContext): Tensor {
    const inputs: Record<string, Tensor | number> = { g };
    if (parameter !== undefined) inputs['parameter'] = parameter;
    this.slots.addTo(inputs);
    const scalars = this.slots.scalars(this.rule);
    const outputs = scalars === null ? this.stepByAge(inputs) : interpret(this.graph, inputs, scalars, this.shape);
    this.slots.commit(outputs, verdict);
    return outputs['direction']!;
  }

  /** The same graph with inputs of one number per entry in place of the per-step ones. */
  get graphByEntry(): Graph {
    this.entryGraph ??= traceRule(this.rule, this.shape, 'element');
    return this.entryGraph;
  }

  /** The same step with per-coordinate numbers in place of the per-step ones. */
  private stepByAge(inputs: Record<string, Tensor | number>): Record<string, Tensor> {
    const { axis, tensors } = this.slots.scalarsByAge(this.rule);
    this.graphByAge ??= traceRule(this.rule, this.shape, axis);
    return interpret(this.graphByAge, { ...inputs, ...tensors }, {}, this.shape);
  }
}
