import {
  type Extent,
  type Graph,
  inlineGraph,
  type KernelSet,
  matrixView,
  type Operand,
  select,
  Tracer,
  type Value,
} from '@frugaljs/core';
import { type Tensor, tidy } from '@tensorflow/tfjs-core';
import { BoundExpression, type BoundRule } from '../bound/rules.js';
import { BoundSubspace, isExactResidual } from '../bound/subspace.js';
import { clipped } from '../finite-check.js';
import { whyNoExpression } from './split-plan.js';
import {
  type Clipping,
  type DecayForm,
  FACTOR,
  factorIn,
  type ParameterStep,
  StepGraph,
  type StepProgram,
  sharedTensors,
  times,
} from './step-graph.js';

/**
 * Products that are as large as the parameter, the projection and the lifted direction, are made for this share of its
 * rows at a time: both together then take a third of the parameter's bytes, and at a density of a quarter all that a
 * step makes takes less than the parameter.
 */
const BANDS = 6;
/** Matrices with fewer entries are not worth it. */
const SMALL = 2 ** 16;

/**
 * A parameter of which the subspace is computed by itself: down by the projector, the rule in place on the small tensor
 * with what the combine measures there, and then, by bands of rows where that can be, up by the projector and one pass
 * that combines, decays and writes.
 */
export class DensePlan {
  private readonly byRows: boolean;

  private constructor(
    private readonly subspace: BoundSubspace,
    private readonly inner: BoundExpression,
    private readonly inside: StepProgram,
    private readonly epilogue: StepProgram,
    private readonly clipValue: number | undefined,
    kernels: KernelSet,
  ) {
    this.byRows = kernels.traits.startsWithin && worksByRows(epilogue.graph);
  }

  /** The plan where there is no {@link SplitPlan}, or the reason why there is neither. */
  static instead(
    reason: string,
    bound: BoundRule,
    kernels: KernelSet,
    clipping: Clipping,
    form: DecayForm,
  ): DensePlan | string {
    if (!(bound instanceof BoundSubspace) || bound.choice.inside === null) return reason;
    const plan = DensePlan.of(bound, kernels, clipping, form);
    // Of a projector that is not dense, what kept it from being one pass tells more.
    return typeof plan === 'string' && bound.choice.membership !== 'dense' ? reason : plan;
  }

  private static of(bound: BoundSubspace, kernels: KernelSet, clipping: Clipping, form: DecayForm): DensePlan | string {
    const inner = bound.choice.inner;
    if (inner === null) return whyNoExpression(bound);
    if (inner.slots.hasAges) return 'coordinates of different ages';
    const residual = bound.splitsResidual() ? bound.residual : null;
    if (residual !== null && !(residual instanceof BoundExpression))
      return 'a split of the residual of a dense projector';
    // On the device any gradient may be huge, and is multiplied before.
    const after: Clipping = clipping.scale === 'device' ? { ...clipping, scale: 'none' } : clipping;
    const inside = insideOf(bound, inner, after);
    const epilogue = denseEpilogue(bound, residual, after, form);
    const graphs = [inside.graph, epilogue.graph, ...(readsLargest(bound) ? [LARGEST_ENTRY] : [])];
    const refusal = graphs.map(graph => kernels.refusal(graph)).find(reason => reason !== null);
    return refusal ?? new DensePlan(bound, inner, inside, epilogue, clipping.clipValue, kernels);
  }

  /** Makes the state that a step writes, which may fail for want of memory, before anything is written. */
  allocate(kernels: KernelSet): void {
    for (const state of [...this.inside.states, ...this.epilogue.states]) state.writable(kernels);
  }

  run(kernels: KernelSet, w: Tensor, gradient: Tensor, step: ParameterStep): void {
    const { rule, combine, where: site } = this.subspace;
    const { projector } = rule;
    const { basis } = this.subspace.choice;
    // After the product the factor takes no pass and no tensor of its own; but a huge gradient would have overflowed by then.
    const isClipped = step.isHuge || combine.feedsBack;
    const g = combine.fed(clipped(gradient, this.clipValue, isClipped ? step.factor : 1));
    const low = projector.down(g, basis, site);
    const lifts = combine.readsLifted;
    const splits = this.subspace.splitsResidual() && combine.share !== 0;
    const factor = isClipped ? 1 : step.factor;
    const numbers = { tolerance: rule.combine.tolerance, ...(typeof factor === 'number' ? { [FACTOR]: factor } : {}) };
    const shared = sharedTensors({ ...step, factor });

    const inside = this.inside.inputs(step, kernels);
    const overwrite = sameNames(inside.compact);
    if (!splits && kernels.isSole(low)) overwrite['direction'] = 'g';
    const parameter: Record<string, Tensor> = reads(this.inner) ? { parameter: projector.down(w, basis, site) } : {};
    const found = kernels.run(
      this.inside.graph,
      { g: low, ...parameter, ...shared, ...inside.compact },
      { ...inside.scalars, ...numbers },
      low.shape,
      overwrite,
    );
    // At once, as state was written: an update that fails from here on is torn.
    for (const state of this.inside.states) state.advance(step.gate);
    const measures = Object.fromEntries(Object.keys(combine.measuresOfNothing).map(name => [name, found[name]!]));

    const { full, scalars } = this.epilogue.inputs(step, kernels);
    const whole: Record<string, Tensor> = { w, g, ...full };
    const inPlace = sameNames({ w, ...full });
    const rest = { ...shared, ...measures, ...largestEntry(this.subspace, kernels, g) };
    const all = { ...scalars, ...numbers };
    for (const state of this.epilogue.states) state.advance(step.gate);
    const direction = found['direction']!;
    if (!this.byRows || projector.upRows === undefined || w.rank < 2 || w.size < SMALL) {
      const lifted: Record<string, Tensor> = lifts ? { lifted: projector.up(direction, basis, site) } : {};
      const projected: Record<string, Tensor> = splits ? { projected: projector.up(low, basis, site) } : {};
      kernels.run(this.epilogue.graph, { ...whole, ...rest, ...lifted, ...projected }, all, w.shape, inPlace);
      return;
    }
    const upRows = projector.upRows(basis, site);
    const [rows, columns] = matrixView(w.shape);
    const height = Math.ceil(rows / BANDS);
    for (let from = 0; from < rows; from += height) {
      const count = Math.min(height, rows - from);
      const starts = Object.fromEntries(Object.keys(whole).map(name => [name, from * columns]));
      tidy(() => {
        const lifted: Record<string, Tensor> = lifts ? { lifted: upRows(direction, from, count) } : {};
        const projected: Record<string, Tensor> = splits ? { projected: upRows(low, from, count) } : {};
        const inputs = { ...whole, ...rest, ...lifted, ...projected };
        kernels.run(this.epilogue.graph, inputs, all, [count, columns], inPlace, starts);
      });
    }
  }

  describe(): string {
    const { coordinate } = this.subspace.rule.projector.traits;
    return coordinate ? 'the subspace by itself and one pass' : 'matrix products and one pass';
  }
}

/** The rule inside, for a gradient that is clipped by its norm after it was projected, and what the combine measures. */
function insideOf({ combine }: BoundSubspace, inner: BoundExpression, { scale, isGated }: Clipping): StepProgram {
  const step = new StepGraph(isGated);
  const low = step.clipped({ clipValue: undefined, scale, isGated });
  const direction = step.rule(inner, low, 'compact', step.tracer.input('parameter', 'element'));
  const results: Record<string, { value: Operand; extent: Extent }> = {
    direction: { value: direction, extent: 'element' },
  };
  if (combine.measures !== null) {
    const measured = inlineGraph(step.tracer, combine.measures, { low, lowDirection: direction });
    for (const [name, { extent }] of Object.entries(combine.measures.outputs)) {
      results[name] = { value: measured[name]!, extent };
    }
  }
  return step.finishPart(results);
}

/** True for a rule that reads the parameter, which then is projected like the gradient. */
function reads({ rule }: BoundExpression): boolean {
  return rule.reads?.includes('parameter') ?? false;
}

/** Each name to itself: what is written over what it was. */
function sameNames(values: Readonly<Record<string, unknown>>): Record<string, string> {
  return Object.fromEntries(Object.keys(values).map(name => [name, name]));
}

/** Input `largest`: max|G|, which tells what of the residual is rounding noise. */
const LARGEST = 'largest';

const LARGEST_ENTRY: Graph = (() => {
  const tracer = new Tracer();
  return tracer.graph({ [LARGEST]: tracer.input('g', 'element').abs().max() }, { [LARGEST]: 'tensor' });
})();

/**
 * From the gradient, its projection and the lifted direction to the parameter, as one graph: inputs `w`, `g`, and, where
 * they are read, `lifted`, `projected`, `largest` and the measures, and what the residual's rule and the combine keep.
 */
function denseEpilogue(
  bound: BoundSubspace,
  residualRule: BoundExpression | null,
  { scale, isGated }: Clipping,
  form: DecayForm,
): StepProgram {
  const step = new StepGraph(isGated);
  const { tracer } = step;
  const { combine } = bound;
  const g = step.clipped({ clipValue: undefined, scale, isGated });
  const factor = factorIn(tracer, scale);
  const scaled = (name: string): Value => times(tracer.input(name, 'element'), factor);
  let residual: Operand = 0;
  let residualDirection: Operand = 0;
  if (bound.splitsResidual()) {
    const rest = combine.share === 0 ? g : g.sub(shareOf(scaled('projected'), combine.share));
    residual = rest;
    if (readsLargest(bound)) {
      const limit = tracer.input(LARGEST, 'tensor').mul(tracer.scalar('tolerance'));
      residual = select(rest.abs().lessEqual(times(limit, factor)), 0, rest);
    }
    if (residualRule !== null) residualDirection = step.rule(residualRule, residual, 'full');
  }
  const measures: Record<string, Operand> = {};
  for (const [name, { extent }] of Object.entries(combine.measures?.outputs ?? {})) {
    measures[name] = tracer.input(name, extent);
  }
  const lifted = tracer.input('lifted', 'element');
  return step.finish(step.combine(combine, { g, lifted, residual, residualDirection, ...measures }), form);
}

function shareOf(projected: Value, share: number): Value {
  return share === 1 ? projected : projected.mul(share);
}

/** True when any few rows of the parameter can be updated by themselves. */
function worksByRows(epilogue: Graph): boolean {
  const isLocal = epilogue.nodes.every(
    ({ op, extent }) => op !== 'reduce' && (extent === 'element' || extent === 'tensor' || extent === 'host'),
  );
  return isLocal && Object.values(epilogue.outputs).every(({ extent }) => extent === 'element');
}

/** True when the combine reads a residual with rounding noise, and so the input `largest`. */
function readsLargest(bound: BoundSubspace): boolean {
  return bound.splitsResidual() && bound.combine.share !== 0 && !isExactResidual(bound.rule);
}

/** The input `largest`, where it is read. */
function largestEntry(bound: BoundSubspace, kernels: KernelSet, g: Tensor): Record<string, Tensor> {
  if (!readsLargest(bound)) return {};
  return kernels.run(LARGEST_ENTRY, { g }, {}, g.shape, {});
}
