import { type Graph, interpret, type SubspaceRule, select, Tracer } from '@frugaljs/core';
import type { Tensor } from '@tensorflow/tfjs-core';

/** R = G - ΠG, for a projector whose residual is exact. */
const EXACT_RESIDUAL: Graph = (() => {
  const tracer = new Tracer();
  const [g, projected] = [tracer.input('g', 'element'), tracer.input('projected', 'element')];
  return tracer.graph({ residual: g.sub(projected) }, { residual: 'element' });
})();

/** R = G - ΠG with entries |R_ij| ≤ tolerance · ‖G‖_∞ set to 0. NaN stays NaN. */
const TOLERANT_RESIDUAL: Graph = (() => {
  const tracer = new Tracer();
  const [g, projected] = [tracer.input('g', 'element'), tracer.input('projected', 'element')];
  const residual = g.sub(projected);
  const noise = residual.abs().lessEqual(g.abs().max().mul(tracer.scalar('tolerance')));
  return tracer.graph({ residual: select(noise, 0, residual) }, { residual: 'element' });
})();

/** True when what a projector leaves over is free of rounding noise, or the combine does not mind it. */
export function isExactResidual({ projector, combine }: SubspaceRule): boolean {
  return projector.traits.coordinate || combine.tolerance === 0;
}

/** What the subspace misses of a gradient. */
export function residualOf(rule: SubspaceRule, g: Tensor, projected: Tensor): Tensor {
  const graph = isExactResidual(rule) ? EXACT_RESIDUAL : TOLERANT_RESIDUAL;
  return interpret(graph, { g, projected }, { tolerance: rule.combine.tolerance }, g.shape)['residual']!;
}
