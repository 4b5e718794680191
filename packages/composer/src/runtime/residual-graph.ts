import { type Graph, select, Tracer } from '@frugaljs/core';

/** R = G - ΠG, for a projector whose residual is exact. */
export const EXACT_RESIDUAL: Graph = (() => {
  const tracer = new Tracer();
  const [g, projected] = [tracer.input('g', 'element'), tracer.input('projected', 'element')];
  return tracer.graph({ residual: g.sub(projected) }, { residual: 'element' });
})();

/** R = G - ΠG with entries |R_ij| ≤ tolerance · ‖G‖_∞ set to 0 (algorithms P4). NaN stays NaN. */
export const TOLERANT_RESIDUAL: Graph = (() => {
  const tracer = new Tracer();
  const [g, projected] = [tracer.input('g', 'element'), tracer.input('projected', 'element')];
  const residual = g.sub(projected);
  const noise = residual.abs().lessEqual(g.abs().max().mul(tracer.scalar('tolerance')));
  return tracer.graph({ residual: select(noise, 0, residual) }, { residual: 'element' });
})();
