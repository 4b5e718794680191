import { type Graph, inlineGraph, type Operand, type Tracer } from '@frugaljs/core';

/** The values a combine reads. */
export interface CombineBindings {
  readonly g: Operand;
  readonly lifted: Operand;
  readonly residual: Operand;
  readonly residualDirection: Operand;
}

/** The direction of a combine without state, written down in a tracer. */
export function inlineCombine(tracer: Tracer, graph: Graph, bindings: CombineBindings): Operand {
  return inlineGraph(tracer, graph, { ...bindings })['direction']!;
}
