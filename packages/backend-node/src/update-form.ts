import { type Graph, hostValues, Tracer } from '@frugaljs/core';

/**
 * How a graph steps from the parameter w: w' = (w · before - direction · rate) · after, in which the factors of w may be
 * missing. All tiers of a parameter step alike, so that it is enough to put their directions together.
 */
export interface UpdateForm {
  /** The node that is the direction. */
  readonly direction: number;
  /** Host nodes. */
  readonly rate: number;
  readonly before: number | null;
  readonly after: number | null;
}

/** The numbers of a form at one step; 1 for a factor that is missing. */
export interface UpdateNumbers {
  readonly rate: number;
  readonly before: number;
  readonly after: number;
}

/** The form of the output `w`; `null` when it is another. */
export function updateFormOf(graph: Graph): UpdateForm | null {
  const { nodes, outputs } = graph;
  const isHost = (id: number): boolean => nodes[id]!.extent === 'host';
  let after: number | null = null;
  let step = nodes[outputs['w']!.node]!;
  if (step.op === 'mul' && isHost(step.y)) {
    after = step.y;
    step = nodes[step.x]!;
  }
  if (step.op !== 'sub') return null;
  const base = nodes[step.x]!;
  const isParameter = (id: number): boolean => {
    const node = nodes[id]!;
    return node.op === 'input' && node.name === 'w';
  };
  const before = base.op === 'mul' && isParameter(base.x) && isHost(base.y) ? base.y : null;
  if (before === null && !isParameter(step.x)) return null;
  const product = nodes[step.y]!;
  if (product.op !== 'mul' || !isHost(product.y)) return null;
  return { direction: product.x, rate: product.y, before, after };
}

export function updateNumbers(
  graph: Graph,
  { rate, before, after }: UpdateForm,
  scalars: Readonly<Record<string, number>>,
): UpdateNumbers {
  const values = hostValues(graph, scalars);
  const factor = (node: number | null): number => (node === null ? 1 : values[node]!);
  return { rate: values[rate]!, before: factor(before), after: factor(after) };
}

/** The same graph with the direction, under this name, in the place of the new parameter. */
export function directionGraph(graph: Graph, { direction }: UpdateForm, name: string): Graph {
  const { w: _, ...slots } = graph.outputs;
  return { nodes: graph.nodes, outputs: { ...slots, [name]: { node: direction, extent: 'element' } } };
}

/** From `w` and `d` to the next `w`, by the form of all tiers. */
export function applicationOf({ before, after }: UpdateForm): Graph {
  const tracer = new Tracer();
  const [w, d] = [tracer.input('w', 'element'), tracer.input('d', 'element')];
  const decayed = before === null ? w : w.mul(tracer.scalar('before'));
  const stepped = decayed.sub(d.mul(tracer.scalar('rate')));
  return tracer.graph({ w: after === null ? stepped : stepped.mul(tracer.scalar('after')) }, { w: 'element' });
}
