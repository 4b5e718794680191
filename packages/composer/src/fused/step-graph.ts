import {
  type Combine,
  type ExpressionRule,
  type Graph,
  inlineGraph,
  type KernelSet,
  type Operand,
  type SlotExtent,
  select,
  Tracer,
  type Value,
} from '@frugaljs/core';
import type { Tensor } from '@tensorflow/tfjs-core';
import type { BoundCombine } from '../bound/combine.js';
import { type BoundExpression, RATE, type StepContext } from '../bound/rules.js';
import type { SlotState } from '../bound/slots.js';

/** Name of the factor that clips the norm: a per-step number, or an input of one number. */
export const FACTOR = 'factor';

/** Name of the input, one number for all, that tells a fused update whether to happen: 1 or 0. */
const PROCEED = 'proceed';

/** What happens to the gradient before the rules see it. */
export interface Clipping {
  /** Its entries are limited to ± this. */
  readonly clipValue: number | undefined;
  /** Where the factor is found that it is multiplied by: nowhere, as a per-step number, or as an input of one number. */
  readonly scale: 'none' | 'host' | 'device';
  /** Parameter and state stay as they are when the input `proceed`, of one number, is 0. */
  readonly isGated: boolean;
}

/** A rule or a combine whose graph is part of a step, with what it keeps. */
interface Part {
  readonly prefix: string;
  readonly slots: SlotState<SlotExtent>;
  /** Has the per-step numbers. */
  readonly of: ExpressionRule | Combine;
  /** Its tensors are as large as the parameter, or as what its tier has of it. */
  readonly size: 'full' | 'compact';
  /** Its coordinates differ in age: the per-step numbers are inputs of one number per entry. */
  readonly byAge: boolean;
}

/**
 * A graph in which rules and combines are written down one after another. What they keep becomes inputs and outputs, under
 * a prefix for each, and what they read of the step is bound.
 */
export class StepGraph {
  readonly tracer: Tracer = new Tracer();
  private readonly parts: Part[] = [];
  private readonly outputs: Record<string, Value> = {};

  /** @param isGated Parameter and state stay as they are when the input `proceed`, of one number, is 0. */
  constructor(private readonly isGated: boolean) {}

  /** The parameter that the step is of. */
  get w(): Value {
    return this.tracer.input('w', 'element');
  }

  /** The gradient as the rules see it. */
  clipped({ clipValue, scale }: Clipping): Value {
    const raw = this.tracer.input('g', 'element');
    const limited = clipValue === undefined ? raw : raw.maximum(-clipValue).minimum(clipValue);
    return times(limited, factorIn(this.tracer, scale));
  }

  /**
   * The direction of an expression rule for a gradient.
   *
   * @param parameter What a rule that reads the parameter gets.
   */
  rule(rule: BoundExpression, g: Operand, size: Part['size'], parameter: Value = this.w): Operand {
    const { slots } = rule;
    const byAge = slots.hasAges;
    const graph = byAge ? rule.graphByEntry : rule.graph;
    return this.part({ slots, of: rule.rule, size, byAge }, graph, { ...this.summable(graph, { g }), parameter });
  }

  /** The direction of a combine. */
  combine({ slots, combine, graph }: BoundCombine, bindings: Readonly<Record<string, Operand>>): Operand {
    const inputs = { ...this.summable(graph, bindings), parameter: this.w };
    return this.part({ slots, of: combine, size: 'full', byAge: false }, graph, inputs);
  }

  /** The same bindings, where a graph that sums gets a 0 for each element in the place of one 0. */
  private summable(graph: Graph, bindings: Readonly<Record<string, Operand>>): Record<string, Operand> {
    if (!graph.nodes.some(({ op }) => op === 'reduce')) return bindings;
    const { w } = this;
    // 0 whatever there is in the parameter.
    const zeros = w.equal(w).mul(0);
    const isWhole = (name: string): boolean =>
      graph.nodes.some(node => node.op === 'input' && node.name === name && node.extent === 'element');
    return Object.fromEntries(
      Object.entries(bindings).map(([name, value]) => [name, value === 0 && isWhole(name) ? zeros : value]),
    );
  }

  /** The whole, in which `direction` changes the parameter. */
  finish(direction: Operand, form: DecayForm): StepProgram {
    const { w } = this;
    const next = inlineGraph(this.tracer, UPDATE_GRAPHS[form], { w, d: direction })['w']!;
    return this.program({ ...this.outputs, w: next }, {});
  }

  /** The whole, with outputs of other names, which are there whether the update happens or not. */
  finishPart(results: Readonly<Record<string, { readonly value: Operand; readonly extent: SlotExtent }>>): StepProgram {
    return this.program(this.outputs, results);
  }

  private part(part: Omit<Part, 'prefix'>, graph: Graph, bindings: Readonly<Record<string, Operand>>): Operand {
    const prefix = `${this.parts.length}/`;
    this.parts.push({ ...part, prefix });
    const outputs = inlineGraph(this.tracer, graph, { [RATE]: this.tracer.scalar('rate'), ...bindings }, prefix);
    for (const name of Object.keys(part.slots.specs)) this.outputs[prefix + name] = outputs[name]!;
    return outputs['direction']!;
  }

  private program(
    written: Readonly<Record<string, Operand>>,
    results: Readonly<Record<string, { readonly value: Operand; readonly extent: SlotExtent }>>,
  ): StepProgram {
    const { tracer } = this;
    const extents: Record<string, SlotExtent> = { w: 'element' };
    for (const { prefix, slots } of this.parts) {
      for (const [name, { extent }] of Object.entries(slots.specs)) extents[prefix + name] = extent;
    }
    const outputs: Record<string, Operand> = this.isGated
      ? gatedOutputs(tracer, written, name => tracer.input(name, extents[name]!))
      : { ...written };
    for (const [name, { value, extent }] of Object.entries(results)) {
      outputs[name] = value;
      extents[name] = extent;
    }
    return new StepProgram(tracer.graph(outputs, extents), this.parts);
  }
}

/** A finished step graph and where its slots and scalars come from. */
export class StepProgram {
  constructor(
    readonly graph: Graph,
    private readonly parts: readonly Part[],
  ) {}

  /** What the graph reads at this step: the slots, ready to be written, by their size, and every number. */
  inputs({ rate, keep, factor }: ParameterStep, kernels: KernelSet): StepInputs {
    const inputs = { full: {}, compact: {}, scalars: { rate, keep } } as Writable<StepInputs>;
    if (typeof factor === 'number') inputs.scalars[FACTOR] = factor;
    for (const { prefix, slots: state, of, size, byAge } of this.parts) {
      const slots = state.writable(kernels);
      for (const name in slots) inputs[size][prefix + name] = slots[name]!;
      if (byAge) {
        for (const [name, tensor] of Object.entries(state.scalarsByEntry(of))) inputs[size][prefix + name] = tensor;
      } else {
        const scalars = state.scalars(of);
        for (const name in scalars) inputs.scalars[prefix + name] = scalars[name]!;
      }
    }
    return inputs;
  }

  /** True when some rule or combine keeps state of this size. */
  hasSlots(size: Part['size']): boolean {
    return this.parts.some(part => part.size === size && Object.keys(part.slots.specs).length > 0);
  }

  /** The state of the rules and combines whose step is taken. */
  get states(): readonly SlotState[] {
    return this.parts.map(({ slots }) => slots);
  }
}

/** Tensors and numbers by the names a step graph gives them. */
export interface StepInputs {
  /** As large as the parameter. */
  readonly full: Readonly<Record<string, Tensor>>;
  /** As large as what a tier has of it. */
  readonly compact: Readonly<Record<string, Tensor>>;
  readonly scalars: Readonly<Record<string, number>>;
}

type Writable<T> = { [K in keyof T]: { -readonly [N in keyof T[K]]: T[K][N] } };

/** What one parameter is told of an update: by its rule, by its combines and by the kernels. */
export interface ParameterStep extends StepContext {
  /** The parameter itself. */
  readonly parameter: Tensor;
  /** The learning rate times that of the group, ηs. */
  readonly rate: number;
  /** 1 - ηλ. */
  readonly keep: number;
  /** What the gradient is multiplied by to clip the global norm: a number, or one on the device. */
  readonly factor: number | Tensor;
  /** Products with the gradient may overflow unless it is multiplied by the factor first. */
  readonly isHuge: boolean;
}

/** The numbers of an update that are on the device, by the name of the input that takes them. */
export function sharedTensors({ factor, gate }: ParameterStep): Record<string, Tensor> {
  const shared: Record<string, Tensor> = {};
  if (typeof factor !== 'number') shared[FACTOR] = factor;
  if (gate !== null) shared[PROCEED] = gate.proceed;
  return shared;
}

/** True for an input of one number that all parameters share. */
export function isShared(node: Graph['nodes'][number]): boolean {
  return node.op === 'input' && (node.name === FACTOR || node.name === PROCEED);
}

/** What clips the norm, where a graph finds it; null when nothing does. */
export function factorIn(tracer: Tracer, scale: Clipping['scale']): Value | null {
  if (scale === 'none') return null;
  return scale === 'host' ? tracer.scalar(FACTOR) : tracer.input(FACTOR, 'tensor');
}

export function times(value: Value, factor: Value | null): Value {
  return factor === null ? value : value.mul(factor);
}

/** The values of a graph, each replaced by the input of its name when the update is not to happen. */
function gatedOutputs(
  tracer: Tracer,
  outputs: Readonly<Record<string, Operand>>,
  currentOf: (name: string) => Operand,
): Record<string, Operand> {
  const proceed = tracer.input(PROCEED, 'tensor');
  const results: Record<string, Operand> = {};
  for (const [name, next] of Object.entries(outputs)) results[name] = select(proceed, next, currentOf(name));
  return results;
}

/** How decoupled weight decay enters the update of a parameter w with direction d, rate ηs and keep = 1 - ηλ. */
export type DecayForm = 'none' | 'before' | 'after' | 'only';

/** w ← w - rate·d, w ← keep·w - rate·d, w ← keep·(w - rate·d), or, without a direction, w ← keep·w. */
export const UPDATE_GRAPHS: Readonly<Record<DecayForm, Graph>> = {
  none: updateGraph((w, d, rate) => w.sub(d.mul(rate))),
  before: updateGraph((w, d, rate, keep) => w.mul(keep).sub(d.mul(rate))),
  after: updateGraph((w, d, rate, keep) => w.sub(d.mul(rate)).mul(keep)),
  only: updateGraph((w, _d, _rate, keep) => w.mul(keep)),
};

function updateGraph(update: (w: Value, d: Value, rate: Value, keep: Value) => Value): Graph {
  const tracer = new Tracer();
  const [w, d] = [tracer.input('w', 'element'), tracer.input('d', 'element')];
  return tracer.graph({ w: update(w, d, tracer.scalar('rate'), tracer.scalar('keep')) }, { w: 'element' });
}
