import { type Graph, type GraphNode, operandsOf } from '@frugaljs/core';

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

/** Averages whose scale would differ more from that of the graph are left to other operations. */
const LARGEST_DEVIATION = 1e-4;

/**
 * TensorFlow computes 1 - β from the float32 β, whereas a graph rounds 1 - β itself: for β = 0.999 they differ by 1.3e-5.
 * The average in TensorFlow is smaller than that of the graph by this factor from the first step on.
 */
export function weightRatio(decay: number): number {
  return Math.fround(1 - decay) / Math.fround(1 - Math.fround(decay));
}

/** How often a node is read by other nodes, and whether it is an output. */
interface Uses {
  readonly counts: readonly number[];
  readonly outputs: ReadonlySet<number>;
}

/** Every place of a graph where Adam stands. */
export function findAdam(graph: Graph): AdamPattern[] {
  const uses = usesOf(graph);
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
