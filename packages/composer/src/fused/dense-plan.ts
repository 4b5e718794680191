import { type Graph, inlineGraph, type KernelSet, type Operand, select, Tracer } from '@frugaljs/core';
import type { Tensor } from '@tensorflow/tfjs-core';
import { BoundExpression } from '../runtime/bound-expression.js';
import type { BoundRule } from '../runtime/bound-rule.js';
import { BoundSubspace } from '../runtime/bound-subspace.js';
import { prepareGradient } from '../runtime/prepare-gradient.js';
import { type DecayForm, UPDATE_GRAPHS } from '../runtime/update-graphs.js';
import { inlineCombine } from './inline-combine.js';

const RESIDUAL_RULE = 'residual/';

/**
 * A parameter with a dense projector: down by a matrix product, the rule in place on the small matrix, up by a matrix
 * product, and one pass that combines, decays and writes.
 */
export class DensePlan {
  private constructor(
    private readonly subspace: BoundSubspace,
    private readonly inner: BoundExpression,
    private readonly residual: BoundExpression | null,
    private readonly epilogue: Graph,
    private readonly clipValue: number | undefined,
  ) {}

  static of(bound: BoundRule, kernels: KernelSet, clipValue: number | undefined, form: DecayForm): DensePlan | string {
    if (!(bound instanceof BoundSubspace) || bound.membership() !== 'dense') return 'no dense projector';
    if (bound.combineHasState) return 'a combine with state';
    const inner = bound.innerExpression();
    if (inner === null) return 'a subspace or tensor operations inside a subspace';
    if (inner.rule.readsParameter) return 'a rule inside a subspace that reads the parameter';
    if (inner.slots.hasAges()) return 'coordinates of different ages';
    const residual = bound.splitsResidual() ? bound.residual : null;
    if (residual !== null && !(residual instanceof BoundExpression))
      return 'a split of the residual of a dense projector';
    const epilogue = epilogueOf(bound, residual, form);
    const refusal = kernels.refusal(inner.graph) ?? kernels.refusal(epilogue);
    return refusal ?? new DensePlan(bound, inner, residual, epilogue, clipValue);
  }

  run(kernels: KernelSet, w: Tensor, gradient: Tensor, rate: number, keep: number, factor: number): void {
    const { projector } = this.subspace.rule;
    const [basis, site] = [this.subspace.basis(), this.subspace.where];
    const isSole = (tensor: Tensor): boolean => kernels.isSole(tensor);
    const g = prepareGradient(gradient, this.clipValue, factor);
    const low = projector.down(g, basis, site);
    const projected = this.subspace.splitsResidual() ? projector.up(low, basis, site) : null;

    const slots = this.inner.slots.writable(isSole);
    const overwrite: Record<string, string> = Object.fromEntries(Object.keys(slots).map(name => [name, name]));
    if (isSole(low)) overwrite['direction'] = 'g';
    const scalars = this.inner.slots.scalars(this.inner.rule) ?? {};
    const { direction } = kernels.run(this.inner.graph, { g: low, ...slots }, scalars, low.shape, overwrite);
    this.inner.slots.advance();

    const lifted = projector.up(direction!, basis, site);
    const numbers: Record<string, number> = { rate, keep, tolerance: this.subspace.rule.combine.tolerance };
    const inputs: Record<string, Tensor> = { w, g, lifted, ...(projected === null ? {} : { projected }) };
    const inPlace: Record<string, string> = { w: 'w' };
    if (this.residual !== null) {
      for (const [name, tensor] of Object.entries(this.residual.slots.writable(isSole))) {
        inputs[RESIDUAL_RULE + name] = tensor;
        inPlace[RESIDUAL_RULE + name] = RESIDUAL_RULE + name;
      }
      const own = this.residual.slots.scalars(this.residual.rule) ?? {};
      for (const [name, value] of Object.entries(own)) numbers[RESIDUAL_RULE + name] = value;
      this.residual.slots.advance();
    }
    kernels.run(this.epilogue, inputs, numbers, w.shape, inPlace);
  }

  describe(): string {
    return 'matrix products and one pass';
  }
}

/** From the gradient, its projection and the lifted direction to the parameter. */
function epilogueOf(bound: BoundSubspace, residualRule: BoundExpression | null, form: DecayForm): Graph {
  const tracer = new Tracer();
  const [w, g, lifted] = [
    tracer.input('w', 'element'),
    tracer.input('g', 'element'),
    tracer.input('lifted', 'element'),
  ];
  const outputs: Record<string, Operand> = {};
  let residual: Operand = 0;
  let residualDirection: Operand = 0;
  if (bound.splitsResidual()) {
    const rest = g.sub(tracer.input('projected', 'element'));
    const isExact = bound.rule.projector.traits.coordinate || bound.rule.combine.tolerance === 0;
    const noise = rest.abs().lessEqual(g.abs().max().mul(tracer.scalar('tolerance')));
    residual = isExact ? rest : select(noise, 0, rest);
    if (residualRule !== null) {
      const results = inlineGraph(tracer, residualRule.graph, { g: residual, parameter: w }, RESIDUAL_RULE);
      residualDirection = results['direction']!;
      for (const name of Object.keys(residualRule.slots.specs)) outputs[RESIDUAL_RULE + name] = results[name]!;
    }
  }
  const direction = inlineCombine(tracer, bound.combineGraph, { g, lifted, residual, residualDirection });
  outputs['w'] = inlineGraph(tracer, UPDATE_GRAPHS[form], { w, d: direction })['w']!;
  const extents = Object.entries(residualRule?.slots.specs ?? {}).map(
    ([name, { extent }]) => [RESIDUAL_RULE + name, extent] as const,
  );
  return tracer.graph(outputs, { w: 'element', ...Object.fromEntries(extents) });
}
