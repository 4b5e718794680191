import {
  type Extent,
  type Graph,
  inlineGraph,
  type KernelSet,
  type Operand,
  select,
  Tracer,
  type Value,
} from '@frugaljs/core';
import type { Tensor } from '@tensorflow/tfjs-core';
import type { BoundExpression } from '../runtime/bound-expression.js';
import type { BoundSubspace } from '../runtime/bound-subspace.js';
import { FACTOR, gatedOutputs } from '../runtime/gate.js';
import { isExactResidual } from '../runtime/residual.js';
import { type DecayForm, UPDATE_GRAPHS } from '../runtime/update-graphs.js';
import { inlineCombine } from './inline-combine.js';
import type { Clipping } from './step-graph.js';

/** Before the names of the slots and scalars of the residual's rule. */
export const RESIDUAL_RULE = 'residual/';

/** Input `largest`: max|G|, which tells what of the residual is rounding noise. */
const LARGEST = 'largest';

export const LARGEST_ENTRY: Graph = (() => {
  const tracer = new Tracer();
  return tracer.graph({ [LARGEST]: tracer.input('g', 'element').abs().max() }, { [LARGEST]: 'tensor' });
})();

/**
 * From the gradient, its projection and the lifted direction to the parameter, as one graph: inputs `w`, `g`, `lifted`,
 * where the residual is read `projected` and `largest`, and the slots of the residual's rule.
 */
export function denseEpilogue(
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

/** What clips the norm, where a graph finds it; null when nothing does. */
export function factorIn(tracer: Tracer, scale: Clipping['scale']): Value | null {
  if (scale === 'none') return null;
  return scale === 'host' ? tracer.scalar(FACTOR) : tracer.input(FACTOR, 'tensor');
}

export function times(value: Value, factor: Value | null): Value {
  return factor === null ? value : value.mul(factor);
}

/** True when any few rows of the parameter can be updated by themselves. */
export function worksByRows(epilogue: Graph): boolean {
  const isLocal = epilogue.nodes.every(
    ({ op, extent }) => op !== 'reduce' && (extent === 'element' || extent === 'tensor' || extent === 'host'),
  );
  return isLocal && Object.values(epilogue.outputs).every(({ extent }) => extent === 'element');
}

/** True when the combine reads a residual with rounding noise, and so the input `largest`. */
export function readsLargest(bound: BoundSubspace): boolean {
  return bound.splitsResidual() && !isExactResidual(bound.rule);
}

/** The input `largest`, where it is read. */
export function largestEntry(bound: BoundSubspace, kernels: KernelSet, g: Tensor): Record<string, Tensor> {
  if (!readsLargest(bound)) return {};
  return kernels.run(LARGEST_ENTRY, { g }, {}, g.shape, {});
}
