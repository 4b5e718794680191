import { type Graph, operandsOf, simplify } from '@frugaljs/core';
import { type AdamPattern, findAdam } from './adam-pattern.js';

/** Adds a multiple of a tensor to another: `result = base + sign · factor · addend`. */
export interface Accumulation {
  readonly result: number;
  readonly base: number;
  readonly addend: number;
  /** The tensor of which the addend is the sign, which nothing else reads; `null` when the addend is something else. */
  readonly signOf: number | null;
  /** A host node. */
  readonly factor: number;
  readonly sign: 1 | -1;
}

/** What is run for a graph, one after the other. */
export type Step =
  | { readonly kind: 'adam'; readonly adam: AdamPattern; readonly reads: readonly number[] }
  | { readonly kind: 'accumulate'; readonly sum: Accumulation; readonly reads: readonly number[] }
  | { readonly kind: 'operation'; readonly node: number; readonly reads: readonly number[] };

export interface Plan {
  /** The graph that the numbers of nodes are those of. */
  readonly graph: Graph;
  readonly steps: readonly Step[];
  /** For each step the nodes that nothing after it reads and that are no outputs. */
  readonly dying: readonly (readonly number[])[];
  /** Comparisons that only choose, so that their truth values need not become numbers. */
  readonly conditions: ReadonlySet<number>;
}

/**
 * Which TensorFlow operations run a graph: one training operation where a part of it is Adam, one where a multiple of
 * a tensor is added, and one eager operation for every other node.
 *
 * @param fuse False to leave out training operations, which need tensors of the full size.
 */
export function planSteps(given: Graph, fuse: boolean): Plan {
  const graph = simplify(given);
  const adams = fuse ? findAdam(graph) : [];
  const skipped = new Set(adams.flatMap(({ inner }) => inner));
  const byResult = new Map(adams.map(adam => [adam.result, adam]));
  const sums = fuse ? findAccumulations(graph, new Set([...skipped, ...byResult.keys()])) : new Map<number, Found>();
  for (const { product, sum } of sums.values()) {
    skipped.add(product);
    if (sum.signOf !== null) skipped.add(sum.addend);
  }
  const steps: Step[] = [];
  graph.nodes.forEach((node, id) => {
    if (node.extent === 'host' || node.op === 'input' || skipped.has(id)) return;
    const adam = byResult.get(id);
    const sum = sums.get(id)?.sum;
    if (adam !== undefined) {
      const { base, gradient, m, v } = adam;
      const reads = [gradient, m.previous, v.previous];
      steps.push({ kind: 'adam', adam, reads: base === null ? reads : [base, ...reads] });
    } else if (sum !== undefined) {
      steps.push({ kind: 'accumulate', sum, reads: [sum.base, sum.signOf ?? sum.addend] });
    } else {
      const reads = operandsOf(node).filter(operand => graph.nodes[operand]!.extent !== 'host');
      steps.push({ kind: 'operation', node: id, reads });
    }
  });
  return { graph, steps, dying: dyingAfter(graph, steps), conditions: conditionsOf(graph) };
}

interface Found {
  readonly sum: Accumulation;
  /** The product with a number that needs no step of its own. */
  readonly product: number;
}

function findAccumulations(graph: Graph, taken: ReadonlySet<number>): Map<number, Found> {
  const uses = graph.nodes.map(() => 0);
  for (const node of graph.nodes) for (const id of operandsOf(node)) uses[id]! += 1;
  for (const { node } of Object.values(graph.outputs)) uses[node]! += 1;
  const isElement = (id: number): boolean => graph.nodes[id]!.extent === 'element';
  const signedBy = (id: number): number | null => {
    const node = graph.nodes[id]!;
    return node.op === 'sign' && uses[id] === 1 && isElement(node.x) ? node.x : null;
  };
  const found = new Map<number, Found>();
  graph.nodes.forEach((node, result) => {
    if ((node.op !== 'add' && node.op !== 'sub') || !isElement(result) || taken.has(result)) return;
    // Of a sum of two products the first is computed and the second added to it.
    const orders =
      node.op === 'add'
        ? [
            [node.x, node.y],
            [node.y, node.x],
          ]
        : [[node.x, node.y]];
    for (const [base, product] of orders as [number, number][]) {
      const term = graph.nodes[product]!;
      if (term.op !== 'mul' || uses[product] !== 1 || taken.has(product) || base === product || !isElement(base))
        continue;
      const [addend, factor] = isElement(term.x) ? [term.x, term.y] : [term.y, term.x];
      if (!isElement(addend) || graph.nodes[factor]!.extent !== 'host') continue;
      const signOf = signedBy(addend);
      const sign = node.op === 'add' ? 1 : -1;
      found.set(result, { product, sum: { result, base, addend, signOf, factor, sign } });
      return;
    }
  });
  return found;
}

function dyingAfter(graph: Graph, steps: readonly Step[]): number[][] {
  const alive = new Set(Object.values(graph.outputs).map(({ node }) => node));
  const dying: number[][] = steps.map(() => []);
  for (let i = steps.length - 1; i >= 0; i--) {
    for (const id of steps[i]!.reads) {
      if (alive.has(id)) continue;
      alive.add(id);
      dying[i]!.push(id);
    }
  }
  return dying;
}

const COMPARISONS: ReadonlySet<string> = new Set(['greater', 'greaterEqual', 'less', 'lessEqual', 'equal']);

function conditionsOf(graph: Graph): Set<number> {
  const conditions = new Set<number>();
  graph.nodes.forEach((node, id) => {
    if (COMPARISONS.has(node.op) && node.extent !== 'host') conditions.add(id);
  });
  for (const node of graph.nodes) {
    const chosen = node.op === 'select' ? node.condition : -1;
    for (const id of operandsOf(node)) if (id !== chosen) conditions.delete(id);
    // Chosen from as well as choosing.
    if (node.op === 'select' && (node.x === chosen || node.y === chosen)) conditions.delete(chosen);
  }
  for (const { node } of Object.values(graph.outputs)) conditions.delete(node);
  return conditions;
}
