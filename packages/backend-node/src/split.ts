import type { Graph, Shape, SplitTier } from '@frugaljs/core';
import type { Tensor } from '@tensorflow/tfjs-core';
import type { Cell, Eager } from './eager.js';
import type { Operand } from './node-operations.js';
import { Places } from './places.js';
import type { Plan } from './steps.js';
import type { TensorFlow } from './tensorflow.js';
import { DIRECTION, type TierGraphs, tierGraphs } from './tier-graphs.js';
import { type UpdateNumbers, updateNumbers } from './update-form.js';

type Operands = Readonly<Record<string, Operand>>;

/** Runs a graph; every output of which the name is that of an input is written over it, others get new handles. */
export type RunGraph = (
  graph: Graph,
  inputs: Operands,
  scalars: Readonly<Record<string, number>>,
  shape: Shape,
) => Record<string, number>;

/** What a tier has computed for its entries of a tensor of the parameter's size. */
interface Part {
  /** Of the whole tensor; the same one may have another name in each tier. */
  readonly target: Cell;
  readonly entries: Operand;
  readonly places: Places;
}

/**
 * Updates a parameter whose entries belong to different tiers. The listed entries are gathered and updated by
 * themselves; what is left is updated with all others in one go, and the listed entries are put over it. Where all tiers
 * step alike, as they do in a composition, this may happen to their directions, and the parameter is updated once.
 */
export class Splits {
  private readonly eager: Eager;
  private readonly graphs = new WeakMap<Graph, TierGraphs>();

  constructor(
    private readonly tensorflow: TensorFlow,
    private readonly planOf: (graph: Graph) => Plan,
    private readonly run: RunGraph,
  ) {
    this.eager = tensorflow.eager;
  }

  update(axis: 'row' | 'column' | 'element', w: Tensor, g: Tensor, tiers: readonly SplitTier[]): void {
    const graphs = this.graphsOf(tiers);
    const numbers = sharedNumbers(graphs, tiers);
    const rest = tiers[tiers.length - 1]!;
    const shared = numbers === null || (axis === 'row' && this.savesSign(rest.graph)) ? null : graphs.shared;
    const graphOf = (tier: number): Graph => shared?.directions[tier] ?? tiers[tier]!.graph;
    const parts: Part[] = [];
    const listed: Places[] = [];
    const direction: Cell = { id: -1 };
    try {
      tiers.slice(0, -1).forEach((tier, i) => {
        if (tier.indices!.size === 0) return;
        const wide = { ...(shared === null || shared.readsParameter[i] ? { w } : {}), g, ...tier.full };
        const places = new Places(this.eager, this.tensorflow.variables, axis, tier.indices!, w.shape);
        listed.push(places);
        this.listed(places, wide, tier, graphOf(i), direction, parts);
      });
      const whole = this.operands({ w, g, ...rest.full, ...rest.compact });
      const fresh = this.run(graphOf(tiers.length - 1), whole, rest.scalars, w.shape);
      direction.id = fresh[DIRECTION] ?? -1;
      for (const { target, entries, places } of parts) {
        places.write(target, entries);
        this.tensorflow.ownership.record(target);
      }
      if (shared !== null) {
        const steps = { w: whole['w']!, d: { cell: direction, shape: w.shape } };
        this.run(shared.application, steps, { ...numbers }, w.shape);
      }
    } finally {
      for (const { entries } of parts) this.eager.delete(entries.cell.id);
      for (const places of listed) places.dispose();
      if (direction.id >= 0) this.eager.delete(direction.id);
    }
  }

  /**
   * Whether a graph adds a multiple of a sign where this takes one operation less than the sign itself. Where rows are put
   * over the rest, that is worth gathering the parameter's rows.
   */
  private savesSign(graph: Graph): boolean {
    if (!this.tensorflow.sign.takesTwo) return false;
    return this.planOf(graph).steps.some(step => step.kind === 'accumulate' && step.sum.signOf !== null);
  }

  private graphsOf(tiers: readonly SplitTier[]): TierGraphs {
    const key = tiers[tiers.length - 1]!.graph;
    let graphs = this.graphs.get(key);
    if (graphs === undefined) {
      graphs = tierGraphs(tiers.map(({ graph }) => graph));
      this.graphs.set(key, graphs);
    }
    return graphs;
  }

  private operands(tensors: Readonly<Record<string, Tensor>>): Record<string, Operand> {
    return Object.fromEntries(
      Object.entries(tensors).map(([name, tensor]) => [name, { cell: this.eager.stored(tensor), shape: tensor.shape }]),
    );
  }

  /** Gathers, updates and keeps what is to be put over the rest. */
  private listed(
    places: Places,
    wide: Readonly<Record<string, Tensor>>,
    { compact, scalars }: SplitTier,
    graph: Graph,
    direction: Cell,
    parts: Part[],
  ): void {
    const shape = Object.values(compact)[0]?.shape ?? places.entriesShape;
    const inputs = this.operands(compact);
    const first = parts.length;
    for (const [name, tensor] of Object.entries(wide)) {
      const entries = { cell: { id: places.read(this.eager.stored(tensor).id, shape) }, shape };
      this.tensorflow.ownership.record(entries.cell);
      inputs[name] = entries;
      // Kept at once, so that it is freed even if something fails.
      parts.push({ target: this.eager.stored(tensor), entries, places });
    }
    const { [DIRECTION]: id } = this.run(graph, inputs, scalars, shape);
    if (id !== undefined) parts.push({ target: direction, entries: { cell: { id }, shape }, places });
    // What was only read is put nowhere.
    const unchanged = Object.keys(wide).filter(name => !(name in graph.outputs));
    const isUnchanged = ({ entries }: Part): boolean => unchanged.some(name => inputs[name] === entries);
    for (const { entries } of parts.filter(isUnchanged)) this.eager.delete(entries.cell.id);
    parts.splice(first, Infinity, ...parts.slice(first).filter(part => !isUnchanged(part)));
  }
}

/** The numbers of the update if they are the same for all tiers. */
function sharedNumbers({ shared }: TierGraphs, tiers: readonly SplitTier[]): UpdateNumbers | null {
  if (shared === null) return null;
  const [first, ...others] = tiers.map(({ graph, scalars }, i) => updateNumbers(graph, shared.forms[i]!, scalars));
  const isShared = others.every(
    ({ rate, before, after }) => rate === first!.rate && before === first!.before && after === first!.after,
  );
  return isShared ? first! : null;
}
