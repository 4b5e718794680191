import { type Graph, simplify } from '@frugaljs/core';
import { applicationOf, directionGraph, type UpdateForm, updateFormOf } from './update-form.js';

/** The output that holds a direction. */
export const DIRECTION = 'direction of the tier';

/** The graphs of the tiers of a parameter, taken apart where they all step alike. */
export interface TierGraphs {
  readonly shared: {
    readonly forms: readonly UpdateForm[];
    /** For each tier the graph of its direction and its slots. */
    readonly directions: readonly Graph[];
    /** Whether that graph reads the parameter. */
    readonly readsParameter: readonly boolean[];
    /** From the parameter `w` and the direction `d` of all entries to the next parameter. */
    readonly application: Graph;
  } | null;
}

export function tierGraphs(graphs: readonly Graph[]): TierGraphs {
  const forms: UpdateForm[] = [];
  for (const graph of graphs) {
    const form = updateFormOf(graph);
    if (form === null) return { shared: null };
    forms.push(form);
  }
  const directions = graphs.map((graph, i) => simplify(directionGraph(graph, forms[i]!, DIRECTION)));
  const readsParameter = directions.map(({ nodes }) => nodes.some(node => node.op === 'input' && node.name === 'w'));
  const [first, ...others] = forms;
  const isSame = others.every(
    ({ before, after }) =>
      (before === null) === (first!.before === null) && (after === null) === (first!.after === null),
  );
  if (!isSame) return { shared: null };
  return { shared: { forms, directions, readsParameter, application: applicationOf(first!) } };
}
