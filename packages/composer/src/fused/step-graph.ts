import { type Graph, inlineGraph, type Operand, type SlotSpec, Tracer, type Value } from '@frugaljs/core';
import type { Tensor } from '@tensorflow/tfjs-core';
import type { BoundExpression } from '../runtime/bound-expression.js';
import { FACTOR, gatedOutputs } from '../runtime/gate.js';
import { type DecayForm, UPDATE_GRAPHS } from '../runtime/update-graphs.js';
import type { UpdateNumbers } from './update-numbers.js';

/** How large the tensors of a rule are: as large as the parameter, or as what its tier has of it. */
export type Extent = 'full' | 'compact';

/** What happens to the gradient before the rules see it. */
export interface Clipping {
  /** Its entries are limited to ± this. */
  readonly clipValue: number | undefined;
  /** Where the factor is found that it is multiplied by: nowhere, as a per-step number, or as an input of one number. */
  readonly scale: 'none' | 'host' | 'device';
  /** Parameter and state stay as they are when the input `proceed`, of one number, is 0. */
  readonly isGated: boolean;
}

interface Part {
  readonly prefix: string;
  readonly rule: BoundExpression;
  readonly size: Extent;
  /** Its coordinates differ in age: the per-step numbers are inputs of one number per entry. */
  readonly byAge: boolean;
}

/**
 * One update of a parameter (or of one tier of it) as one graph: the gradient is clipped, goes through rules and
 * combines, and the result and the decay through to the parameter. Inputs are `w`, `g` and the slots of all rules, each
 * under a prefix of its own; outputs are `w` and the slots.
 */
export class StepGraph {
  readonly tracer: Tracer = new Tracer();
  readonly w: Value = this.tracer.input('w', 'element');
  /** The gradient as the rules see it. */
  readonly g: Value;
  private readonly parts: Part[] = [];
  private readonly outputs: Record<string, Value> = {};

  constructor(private readonly clipping: Clipping) {
    const { clipValue, scale } = clipping;
    const raw = this.tracer.input('g', 'element');
    const clipped = clipValue === undefined ? raw : raw.maximum(-clipValue).minimum(clipValue);
    this.g =
      scale === 'none'
        ? clipped
        : clipped.mul(scale === 'host' ? this.tracer.scalar(FACTOR) : this.tracer.input(FACTOR, 'tensor'));
  }

  /** The direction of an expression rule for a gradient; its slots become inputs and outputs. */
  direction(rule: BoundExpression, g: Operand, size: Extent): Operand {
    const prefix = `${this.parts.length}/`;
    const byAge = rule.slots.hasAges();
    this.parts.push({ prefix, rule, size, byAge });
    const graph = byAge ? rule.graphByEntry : rule.graph;
    const outputs = inlineGraph(this.tracer, graph, { g, parameter: this.w }, prefix);
    for (const name of Object.keys(rule.slots.specs)) this.outputs[prefix + name] = outputs[name]!;
    return outputs['direction']!;
  }

  /** The graph after the direction is known. */
  finish(direction: Operand, form: DecayForm): StepProgram {
    const next = inlineGraph(this.tracer, UPDATE_GRAPHS[form], { w: this.w, d: direction })['w']!;
    const extents: Record<string, SlotSpec['extent']> = Object.fromEntries(
      this.parts.flatMap(({ prefix, rule }) =>
        Object.entries(rule.slots.specs).map(([name, { extent }]) => [prefix + name, extent] as const),
      ),
    );
    extents['w'] = 'element';
    const { tracer } = this;
    const outputs = { w: next, ...this.outputs };
    const current = (name: string): Value => tracer.input(name, extents[name]!);
    const results: Record<string, Operand> = this.clipping.isGated ? gatedOutputs(tracer, outputs, current) : outputs;
    return new StepProgram(tracer.graph(results, extents), this.parts);
  }
}

/** A finished step graph and where its slots and scalars come from. */
export class StepProgram {
  constructor(
    readonly graph: Graph,
    private readonly parts: readonly Part[],
  ) {}

  /** The slots of this size by input name, ready to be written, and numbers that go with their entries. */
  tensors(size: Extent, owned: (tensor: Tensor) => boolean): Record<string, Tensor> {
    const tensors: Record<string, Tensor> = {};
    for (const part of this.parts) {
      if (part.size !== size) continue;
      for (const [name, tensor] of Object.entries(part.rule.slots.writable(owned)))
        tensors[part.prefix + name] = tensor;
      if (!part.byAge) continue;
      for (const [name, tensor] of Object.entries(part.rule.slots.scalarsByEntry(part.rule.rule)))
        tensors[part.prefix + name] = tensor;
    }
    return tensors;
  }

  /** True when some rule keeps state of this size. */
  hasSlots(size: Extent): boolean {
    return this.parts.some(part => part.size === size && Object.keys(part.rule.slots.specs).length > 0);
  }

  /** Every number the graph reads at this step. */
  scalars({ rate, keep, factor }: UpdateNumbers): Record<string, number> {
    const scalars: Record<string, number> = { rate, keep };
    if (typeof factor === 'number') scalars[FACTOR] = factor;
    for (const { prefix, rule } of this.parts) {
      for (const [name, value] of Object.entries(rule.slots.scalars(rule.rule) ?? {})) scalars[prefix + name] = value;
    }
    return scalars;
  }

  /** The rules whose step was taken. */
  rules(): readonly BoundExpression[] {
    return this.parts.map(({ rule }) => rule);
  }
}
