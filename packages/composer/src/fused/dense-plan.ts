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
import {
  type Clipping,
  type DecayForm,
  FACTOR,
  factorIn,
  gatedOutputs,
  inlineCombine,
  type ParameterStep,
  sharedTensors,
  times,
  UPDATE_GRAPHS,
} from './step-graph.js';

/** Before the names of the slots and scalars of the rule inside. */
const RULE = 'rule/';
/**
 * Products that are as large as the parameter, the projection and the lifted direction, are made for this share of its
 * rows at a time: both together then take a third of the parameter's bytes, and at a density of a quarter all that a
 * step makes takes less than the parameter.
 */
const BANDS = 6;
/** Matrices with fewer entries are not worth it. */
const SMALL = 2 ** 16;

/**
 * A parameter with a dense projector: down by a matrix product, the rule in place on the small matrix, and then, by
 * bands of rows, up by a matrix product and one pass that combines, decays and writes.
 */
export class DensePlan {
  private readonly byRows: boolean;

  private constructor(
    private readonly subspace: BoundSubspace,
    private readonly inner: BoundExpression,
    private readonly residual: BoundExpression | null,
    private readonly inside: Graph,
    private readonly epilogue: Graph,
    private readonly clipValue: number | undefined,
    kernels: KernelSet,
  ) {
    this.byRows = kernels.traits.startsWithin && worksByRows(epilogue);
  }

  static of(bound: BoundRule, kernels: KernelSet, clipping: Clipping, form: DecayForm): DensePlan | string {
    if (!(bound instanceof BoundSubspace) || bound.choice.membership !== 'dense') return 'no dense projector';
    if (bound.combine.hasState) return 'a combine with state';
    const inner = bound.choice.inner;
    if (inner === null) return 'a subspace or tensor operations inside a subspace';
    if (inner.rule.readsParameter) return 'a rule inside a subspace that reads the parameter';
    if (inner.slots.hasAges) return 'coordinates of different ages';
    const residual = bound.splitsResidual() ? bound.residual : null;
    if (residual !== null && !(residual instanceof BoundExpression))
      return 'a split of the residual of a dense projector';
    // On the device any gradient may be huge, and is multiplied before.
    const after: Clipping = clipping.scale === 'device' ? { ...clipping, scale: 'none' } : clipping;
    const inside = insideOf(inner, after);
    const epilogue = denseEpilogue(bound, residual, after, form);
    const graphs = [inside, epilogue, ...(readsLargest(bound) ? [LARGEST_ENTRY] : [])];
    const refusal = graphs.map(graph => kernels.refusal(graph)).find(reason => reason !== null);
    return refusal ?? new DensePlan(bound, inner, residual, inside, epilogue, clipping.clipValue, kernels);
  }

  /** Makes the state that a step writes, which may fail for want of memory, before anything is written. */
  allocate(kernels: KernelSet): void {
    this.inner.slots.writable(kernels);
    this.residual?.slots.writable(kernels);
  }

  run(kernels: KernelSet, w: Tensor, gradient: Tensor, step: ParameterStep): void {
    const { projector, combine } = this.subspace.rule;
    const [basis, site] = [this.subspace.choice.basis, this.subspace.where];
    // After the product the factor takes no pass and no tensor of its own; but a huge gradient would have overflowed by then.
    const g = clipped(gradient, this.clipValue, step.isHuge ? step.factor : 1);
    const low = projector.down(g, basis, site);
    const splits = this.subspace.splitsResidual();

    const inside = prefixed(RULE, this.inner.slots.writable(kernels));
    const overwrite = sameNames(inside);
    if (!splits && kernels.isSole(low)) overwrite['direction'] = 'g';
    const { rate, keep } = step;
    const factor = step.isHuge ? 1 : step.factor;
    const shared = sharedTensors({ ...step, factor });
    const numbers: Record<string, number> = { rate, keep, tolerance: combine.tolerance };
    if (typeof factor === 'number') numbers[FACTOR] = factor;
    Object.assign(numbers, prefixed(RULE, this.inner.slots.scalars(this.inner.rule) ?? {}));
    const direction = kernels.run(this.inside, { g: low, ...shared, ...inside }, numbers, low.shape, overwrite)[
      'direction'
    ]!;
    this.inner.slots.advance(step.gate);

    const whole: Record<string, Tensor> = { w, g };
    if (this.residual !== null) {
      Object.assign(whole, prefixed(RESIDUAL_RULE, this.residual.slots.writable(kernels)));
      Object.assign(numbers, prefixed(RESIDUAL_RULE, this.residual.slots.scalars(this.residual.rule) ?? {}));
      this.residual.slots.advance(step.gate);
    }
    const { g: _, ...written } = whole;
    const inPlace = sameNames(written);
    const largest = largestEntry(this.subspace, kernels, g);
    if (!this.byRows || projector.upRows === undefined || w.rank < 2 || w.size < SMALL) {
      const lifted = projector.up(direction, basis, site);
      const projected: Record<string, Tensor> = splits ? { projected: projector.up(low, basis, site) } : {};
      kernels.run(this.epilogue, { ...whole, ...shared, ...largest, lifted, ...projected }, numbers, w.shape, inPlace);
      return;
    }
    const upRows = projector.upRows(basis, site);
    const [rows, columns] = matrixView(w.shape);
    const height = Math.ceil(rows / BANDS);
    for (let from = 0; from < rows; from += height) {
      const count = Math.min(height, rows - from);
      const starts = Object.fromEntries(Object.keys(whole).map(name => [name, from * columns]));
      tidy(() => {
        const lifted = upRows(direction, from, count);
        const projected: Record<string, Tensor> = splits ? { projected: upRows(low, from, count) } : {};
        const inputs = { ...whole, ...shared, ...largest, lifted, ...projected };
        kernels.run(this.epilogue, inputs, numbers, [count, columns], inPlace, starts);
      });
    }
  }

  describe(): string {
    return 'matrix products and one pass';
  }
}

/** The rule inside, for a gradient that is clipped by its norm after it was projected. */
function insideOf(inner: BoundExpression, { scale, isGated }: Clipping): Graph {
  const tracer = new Tracer();
  const g = times(tracer.input('g', 'element'), factorIn(tracer, scale));
  const { direction, ...next } = inlineGraph(tracer, inner.graph, { g }, RULE);
  const extents = prefixed(
    RULE,
    mapped(inner.slots.specs, ({ extent }) => extent),
  );
  const slots = prefixed(
    RULE,
    mapped(inner.slots.specs, (_, name) => next[name]!),
  );
  const results = isGated ? gatedOutputs(tracer, slots, name => tracer.input(name, extents[name]!)) : slots;
  return tracer.graph({ direction: direction!, ...results }, { direction: 'element', ...extents });
}

function mapped<T, U>(values: Readonly<Record<string, T>>, map: (value: T, name: string) => U): Record<string, U> {
  return Object.fromEntries(Object.entries(values).map(([name, value]) => [name, map(value, name)]));
}

function prefixed<T>(prefix: string, values: Readonly<Record<string, T>>): Record<string, T> {
  return Object.fromEntries(Object.entries(values).map(([name, value]) => [prefix + name, value]));
}

/** Each name to itself: what is written over what it was. */
function sameNames(values: Readonly<Record<string, unknown>>): Record<string, string> {
  return Object.fromEntries(Object.keys(values).map(name => [name, name]));
}

/** Before the names of the slots and scalars of the residual's rule. */
const RESIDUAL_RULE = 'residual/';

/** Input `largest`: max|G|, which tells what of the residual is rounding noise. */
const LARGEST = 'largest';

const LARGEST_ENTRY: Graph = (() => {
  const tracer = new Tracer();
  return tracer.graph({ [LARGEST]: tracer.input('g', 'element').abs().max() }, { [LARGEST]: 'tensor' });
})();

/**
 * From the gradient, its projection and the lifted direction to the parameter, as one graph: inputs `w`, `g`, `lifted`,
 * where the residual is read `projected` and `largest`, and the slots of the residual's rule.
 */
function denseEpilogue(
  bound: BoundSubspace,
  residualRule: BoundExpression | null,
  { scale, isGated }: Clipping,
  form: DecayForm,
): Graph {
  const tracer = new Tracer();
  const factor = factorIn(tracer, scale);
  const scaled = (name: string): Value => times(tracer.input(name, 'element'), factor);
  const [w, g, lifted] = [tracer.input('w', 'element'), scaled('g'), tracer.input('lifted', 'element')];
  const outputs: Record<string, Operand> = {};
  let residual: Operand = 0;
  let residualDirection: Operand = 0;
  if (bound.splitsResidual()) {
    const rest = g.sub(scaled('projected'));
    residual = rest;
    if (readsLargest(bound)) {
      const limit = tracer.input(LARGEST, 'tensor').mul(tracer.scalar('tolerance'));
      residual = select(rest.abs().lessEqual(times(limit, factor)), 0, rest);
    }
    if (residualRule !== null) {
      const results = inlineGraph(tracer, residualRule.graph, { g: residual, parameter: w }, RESIDUAL_RULE);
      residualDirection = results['direction']!;
      for (const name of Object.keys(residualRule.slots.specs)) outputs[RESIDUAL_RULE + name] = results[name]!;
    }
  }
  const direction = inlineCombine(tracer, bound.combine.graph, { g, lifted, residual, residualDirection });
  outputs['w'] = inlineGraph(tracer, UPDATE_GRAPHS[form], { w, d: direction })['w']!;
  const extents = Object.entries(residualRule?.slots.specs ?? {}).map(
    ([name, { extent }]) => [RESIDUAL_RULE + name, extent] as const,
  );
  const all: Record<string, Extent> = { w: 'element', ...Object.fromEntries(extents) };
  return tracer.graph(isGated ? gatedOutputs(tracer, outputs, name => tracer.input(name, all[name]!)) : outputs, all);
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
  return bound.splitsResidual() && !isExactResidual(bound.rule);
}

/** The input `largest`, where it is read. */
function largestEntry(bound: BoundSubspace, kernels: KernelSet, g: Tensor): Record<string, Tensor> {
  if (!readsLargest(bound)) return {};
  return kernels.run(LARGEST_ENTRY, { g }, {}, g.shape, {});
}
