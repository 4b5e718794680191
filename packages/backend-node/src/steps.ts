import { type Graph, type GraphNode, operandsOf, simplify } from '@frugaljs/core';

/**
 * Adam as a graph: D = m' · c₁ / (√v' · c₂ + ε) with moving averages m' and v' of a gradient and its square, and where
 * there is one the update a ± D · (numbers of the host) around it. Numbers are positions of nodes.
 */
export interface AdamPattern {
  /** The node that is computed: the update, or D where D has other uses. */
  readonly result: number;
  /** a, or `null` for D alone. */
  readonly base: number | null;
  /** -1 for a - D · …, else 1. */
  readonly sign: 1 | -1;
  /** Host nodes that multiply D. */
  readonly factors: readonly number[];
  readonly gradient: number;
  readonly m: MovingAverage;
  readonly v: MovingAverage;
  /** c₁. */
  readonly numerator: number;
  /** c₂, or `null` for 1. */
  readonly correction: number | null;
  readonly epsilon: number;
  /** Nodes inside, which need no step of their own. */
  readonly inner: readonly number[];
}

/** next = previous · decay + x · (1 - decay). */
export interface MovingAverage {
  /** An input. */
  readonly previous: number;
  readonly next: number;
  readonly decay: number;
}

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
export type ExecutionStep =
  | { readonly kind: 'adam'; readonly adam: AdamPattern; readonly reads: readonly number[] }
  | { readonly kind: 'accumulate'; readonly sum: Accumulation; readonly reads: readonly number[] }
  | { readonly kind: 'operation'; readonly node: number; readonly reads: readonly number[] };

/** The steps of a graph. */
export interface ExecutionPlan {
  /** The graph that the numbers of nodes are those of. */
  readonly graph: Graph;
  readonly steps: readonly ExecutionStep[];
  /** For each step the nodes that nothing after it reads and that are no outputs. */
  readonly dying: readonly (readonly number[])[];
  /** Comparisons that only choose, so that their truth values need not become numbers. */
  readonly conditions: ReadonlySet<number>;
}

const fused = new WeakMap<Graph, ExecutionPlan>();

/** The plan of a graph of which all inputs are tensors, made once. */
export function planOf(graph: Graph): ExecutionPlan {
  let plan = fused.get(graph);
  if (plan === undefined) {
    plan = planSteps(graph, true);
    fused.set(graph, plan);
  }
  return plan;
}

/**
 * Which TensorFlow operations run a graph: one training operation where a part of it is Adam, one where a multiple of
 * a tensor is added, and one eager operation for every other node.
 *
 * @param fuse False to leave out training operations, which need tensors of the full size.
 */
export function planSteps(given: Graph, fuse: boolean): ExecutionPlan {
  const graph = simplify(given);
  const uses = usesOf(graph);
  const adams = fuse ? findAdam(graph, uses) : [];
  const inside = new Set(adams.flatMap(({ inner }) => inner));
  const byResult = new Map(adams.map(adam => [adam.result, adam]));
  const sums = fuse
    ? findAccumulations(graph, uses, new Set([...inside, ...byResult.keys()]))
    : new Map<number, Found>();
  for (const { product, sum } of sums.values()) {
    inside.add(product);
    if (sum.signOf !== null) inside.add(sum.addend);
  }
  const steps: ExecutionStep[] = [];
  graph.nodes.forEach((node, id) => {
    if (node.extent === 'host' || node.op === 'input' || inside.has(id)) return;
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

function findAccumulations(graph: Graph, uses: Uses, taken: ReadonlySet<number>): Map<number, Found> {
  const isElement = (id: number): boolean => graph.nodes[id]!.extent === 'element';
  const signedBy = (id: number): number | null => {
    const node = graph.nodes[id]!;
    return node.op === 'sign' && isInner(uses, id) && isElement(node.x) ? node.x : null;
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
      if (term.op !== 'mul' || !isInner(uses, product) || taken.has(product) || base === product || !isElement(base))
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

function dyingAfter(graph: Graph, steps: readonly ExecutionStep[]): number[][] {
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

/** Averages whose scale would differ more from that of the graph are left to other operations. */
const LARGEST_DEVIATION = 1e-4;

/**
 * TensorFlow computes 1 - β from the float32 β, whereas a graph rounds 1 - β itself: for β = 0.999 they differ by 1.3e-5.
 * The average in TensorFlow is smaller than that of the graph by this factor from the first step on.
 */
export function weightRatio(decay: number): number {
  return Math.fround(1 - decay) / Math.fround(1 - Math.fround(decay));
}

/** Wherever Adam stands in a graph. */
function findAdam(graph: Graph, uses: Uses): AdamPattern[] {
  return graph.nodes.flatMap((_, id) => matchDirection(graph, uses, id) ?? []);
}

function matchDirection(graph: Graph, uses: Uses, id: number): AdamPattern | null {
  const product = graph.nodes[id]!;
  if (product.op !== 'mul' || product.extent !== 'element') return null;
  for (const [mean, quotient] of [
    [product.x, product.y],
    [product.y, product.x],
  ] as const) {
    const core = matchCore(graph, uses, mean, quotient);
    if (core !== null) return { ...core, ...around(graph, uses, id, core.inner) };
  }
  return null;
}

type Core = Pick<AdamPattern, 'gradient' | 'm' | 'v' | 'numerator' | 'correction' | 'epsilon' | 'inner'>;

function matchCore(graph: Graph, uses: Uses, mean: number, quotient: number): Core | null {
  const node = (id: number): GraphNode => graph.nodes[id]!;
  const isHost = (id: number): boolean => node(id).extent === 'host';
  const division = node(quotient);
  if (division.op !== 'div' || !isHost(division.x) || !isInner(uses, quotient)) return null;
  const sum = node(division.y);
  if (sum.op !== 'add' || !isInner(uses, division.y)) return null;
  const [scaled, epsilon] = isHost(sum.y) ? [sum.x, sum.y] : [sum.y, sum.x];
  if (!isHost(epsilon) || isHost(scaled) || !isInner(uses, scaled)) return null;
  let root = scaled;
  let correction: number | null = null;
  const inner = [quotient, division.y, scaled];
  const multiple = node(scaled);
  if (multiple.op === 'mul') {
    [root, correction] = isHost(multiple.y) ? [multiple.x, multiple.y] : [multiple.y, multiple.x];
    if (!isHost(correction) || !isInner(uses, root)) return null;
    inner.push(root);
  }
  const squareRoot = node(root);
  if (squareRoot.op !== 'sqrt' || uses.counts[squareRoot.x] !== 1 || uses.counts[mean] !== 1) return null;
  const m = matchAverage(graph, uses, mean);
  const v = matchAverage(graph, uses, squareRoot.x);
  if (m === null || v === null) return null;
  const square = node(v.of);
  if (square.op !== 'square' || square.x !== m.of || node(m.of).extent !== 'element') return null;
  // The square may serve others, too: then it is computed for them.
  if (isInner(uses, v.of)) inner.push(v.of);
  inner.push(...m.inner, ...v.inner, mean, squareRoot.x);
  return { gradient: m.of, m: m.average, v: v.average, numerator: division.x, correction, epsilon, inner };
}

/** previous · β + x · (1 - β), with an input that nobody else reads. */
function matchAverage(
  graph: Graph,
  uses: Uses,
  id: number,
): { readonly average: MovingAverage; readonly of: number; readonly inner: readonly number[] } | null {
  const sum = graph.nodes[id]!;
  if (sum.op !== 'add' || sum.extent !== 'element') return null;
  const terms = [matchTerm(graph, uses, sum.x), matchTerm(graph, uses, sum.y)] as const;
  for (const [old, fresh] of [terms, [terms[1], terms[0]]] as const) {
    if (old === null || fresh === null) return null;
    const isState = graph.nodes[old.of]!.op === 'input' && uses.counts[old.of] === 1 && !uses.outputs.has(old.of);
    if (!isState || Math.abs(old.weight + fresh.weight - 1) > 1e-12) continue;
    if (!(Math.abs(weightRatio(old.weight) - 1) < LARGEST_DEVIATION)) continue;
    return { average: { previous: old.of, next: id, decay: old.weight }, of: fresh.of, inner: [sum.x, sum.y] };
  }
  return null;
}

/** x times a constant. */
function matchTerm(graph: Graph, uses: Uses, id: number): { readonly of: number; readonly weight: number } | null {
  const product = graph.nodes[id]!;
  if (product.op !== 'mul' || !isInner(uses, id)) return null;
  const [x, y] = [graph.nodes[product.x]!, graph.nodes[product.y]!];
  if (y.op === 'constant' && x.extent === 'element') return { of: product.x, weight: y.value };
  if (x.op === 'constant' && y.extent === 'element') return { of: product.y, weight: x.value };
  return null;
}

/** Follows the only use of a direction outwards: through products with numbers to a sum or difference. */
function around(
  graph: Graph,
  uses: Uses,
  direction: number,
  inside: readonly number[],
): Pick<AdamPattern, 'result' | 'base' | 'sign' | 'factors' | 'inner'> {
  const alone = { result: direction, base: null, sign: 1, factors: [], inner: inside } as const;
  const factors: number[] = [];
  const inner = [...inside];
  let current = direction;
  while (isInner(uses, current)) {
    const id = graph.nodes.findIndex(
      node => 'y' in node && node.op !== 'select' && (node.x === current || node.y === current),
    );
    const user = graph.nodes[id];
    if (user === undefined || !('y' in user) || user.op === 'select') return alone;
    inner.push(current);
    const other = user.x === current ? user.y : user.x;
    if (user.op === 'mul' && graph.nodes[other]!.extent === 'host') {
      factors.push(other);
      current = id;
      continue;
    }
    const isElement = graph.nodes[other]!.extent === 'element';
    if (user.op === 'add' && isElement) return { result: id, base: other, sign: 1, factors, inner };
    if (user.op === 'sub' && isElement && user.y === current) {
      return { result: id, base: other, sign: -1, factors, inner };
    }
    return alone;
  }
  return alone;
}

/** How often a node is read by other nodes, and whether it is an output. */
interface Uses {
  readonly counts: readonly number[];
  readonly outputs: ReadonlySet<number>;
}

/** Read once and by nobody outside. */
function isInner(uses: Uses, id: number): boolean {
  return uses.counts[id] === 1 && !uses.outputs.has(id);
}

function usesOf(graph: Graph): Uses {
  const counts = graph.nodes.map(() => 0);
  for (const node of graph.nodes) {
    for (const id of operandsOf(node)) counts[id]! += 1;
  }
  return { counts, outputs: new Set(Object.values(graph.outputs).map(({ node }) => node)) };
}
