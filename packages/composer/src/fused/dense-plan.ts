import { type Graph, inlineGraph, type KernelSet, Tracer } from '@frugaljs/core';
import { type Tensor, tidy } from '@tensorflow/tfjs-core';
import { BoundExpression } from '../runtime/bound-expression.js';
import type { BoundRule } from '../runtime/bound-rule.js';
import { BoundSubspace } from '../runtime/bound-subspace.js';
import { FACTOR, gatedOutputs } from '../runtime/gate.js';
import { prepareGradient } from '../runtime/prepare-gradient.js';
import type { DecayForm } from '../runtime/update-graphs.js';
import {
  denseEpilogue,
  factorIn,
  LARGEST_ENTRY,
  largestEntry,
  RESIDUAL_RULE,
  readsLargest,
  times,
  worksByRows,
} from './dense-epilogue.js';
import { sharedTensors } from './shared-tensors.js';
import type { Clipping } from './step-graph.js';
import type { UpdateNumbers } from './update-numbers.js';

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
    if (!(bound instanceof BoundSubspace) || bound.choice.membership() !== 'dense') return 'no dense projector';
    if (bound.combine.hasState) return 'a combine with state';
    const inner = bound.choice.innerExpression();
    if (inner === null) return 'a subspace or tensor operations inside a subspace';
    if (inner.rule.readsParameter) return 'a rule inside a subspace that reads the parameter';
    if (inner.slots.hasAges()) return 'coordinates of different ages';
    const residual = bound.splitsResidual() ? bound.residual : null;
    if (residual !== null && !(residual instanceof BoundExpression))
      return 'a split of the residual of a dense projector';
    const inside = insideOf(inner, clipping);
    const epilogue = denseEpilogue(bound, residual, clipping, form);
    const graphs = [inside, epilogue, ...(readsLargest(bound) ? [LARGEST_ENTRY] : [])];
    const refusal = graphs.map(graph => kernels.refusal(graph)).find(reason => reason !== null);
    return refusal ?? new DensePlan(bound, inner, residual, inside, epilogue, clipping.clipValue, kernels);
  }

  run(kernels: KernelSet, w: Tensor, gradient: Tensor, update: UpdateNumbers): void {
    const { projector, combine } = this.subspace.rule;
    const [basis, site] = [this.subspace.choice.basis(), this.subspace.where];
    const isSole = (tensor: Tensor): boolean => kernels.isSole(tensor);
    const g = prepareGradient(gradient, this.clipValue, 1);
    const low = projector.down(g, basis, site);
    const splits = this.subspace.splitsResidual();

    const inside = prefixed(RULE, this.inner.slots.writable(isSole));
    const overwrite = sameNames(inside);
    if (!splits && isSole(low)) overwrite['direction'] = 'g';
    const { rate, keep, factor } = update;
    const shared = sharedTensors(update);
    const numbers: Record<string, number> = { rate, keep, tolerance: combine.tolerance };
    if (typeof factor === 'number') numbers[FACTOR] = factor;
    Object.assign(numbers, prefixed(RULE, this.inner.slots.scalars(this.inner.rule) ?? {}));
    const direction = kernels.run(this.inside, { g: low, ...shared, ...inside }, numbers, low.shape, overwrite)[
      'direction'
    ]!;
    this.inner.slots.advance(update.verdict);

    const whole: Record<string, Tensor> = { w, g };
    if (this.residual !== null) {
      Object.assign(whole, prefixed(RESIDUAL_RULE, this.residual.slots.writable(isSole)));
      Object.assign(numbers, prefixed(RESIDUAL_RULE, this.residual.slots.scalars(this.residual.rule) ?? {}));
      this.residual.slots.advance(update.verdict);
    }
    const { g: _, ...written } = whole;
    const inPlace = sameNames(written);
    const largest = largestEntry(this.subspace, kernels, g);
    if (!this.byRows || projector.upRows === undefined || w.rank !== 2 || w.size < SMALL) {
      const lifted = projector.up(direction, basis, site);
      const projected: Record<string, Tensor> = splits ? { projected: projector.up(low, basis, site) } : {};
      kernels.run(this.epilogue, { ...whole, ...shared, ...largest, lifted, ...projected }, numbers, w.shape, inPlace);
      return;
    }
    const upRows = projector.upRows(basis, site);
    const [rows, columns] = w.shape as [number, number];
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
