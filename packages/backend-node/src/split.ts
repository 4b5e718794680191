import type { Graph, Shape, SplitTier } from '@frugaljs/core';
import type { Tensor } from '@tensorflow/tfjs-core';
import type { Cell, Eager } from './eager.js';
import type { Operand } from './execution.js';
import { Places } from './places.js';

/** Runs the graph of a tier and writes every output over the input of the same name. */
export type RunInPlace = (
  graph: Graph,
  inputs: Readonly<Record<string, Operand>>,
  scalars: Readonly<Record<string, number>>,
  shape: Shape,
) => void;

/** What a tier has computed for its entries of a tensor of the parameter's size. */
interface Part {
  readonly target: Cell;
  readonly entries: Operand;
  readonly places: Places;
}

/**
 * Updates a parameter whose entries belong to different tiers. The listed entries are gathered and updated by
 * themselves; what is left is updated with all others in one go, and the listed entries are put over it.
 */
export class Splits {
  constructor(
    private readonly eager: Eager,
    private readonly run: RunInPlace,
  ) {}

  update(axis: 'row' | 'column' | 'element', w: Tensor, g: Tensor, tiers: readonly SplitTier[]): void {
    const parts: Part[] = [];
    try {
      for (const tier of tiers.slice(0, -1)) this.listed(axis, w, g, tier, parts);
      const rest = tiers[tiers.length - 1]!;
      this.run(rest.graph, this.operands({ w, g, ...rest.full, ...rest.compact }), rest.scalars, w.shape);
      for (const { target, entries, places } of parts) places.write(target, entries);
    } finally {
      for (const { entries } of parts) this.eager.delete(entries.cell.id);
    }
  }

  private operands(tensors: Readonly<Record<string, Tensor>>): Record<string, Operand> {
    return Object.fromEntries(
      Object.entries(tensors).map(([name, tensor]) => [name, { cell: this.eager.stored(tensor), shape: tensor.shape }]),
    );
  }

  private listed(
    axis: 'row' | 'column' | 'element',
    w: Tensor,
    g: Tensor,
    { indices, graph, compact, full, scalars }: SplitTier,
    parts: Part[],
  ): void {
    if (indices!.size === 0) return;
    const places = new Places(this.eager, axis, indices!, w.shape);
    const shape = Object.values(compact)[0]?.shape ?? places.entriesShape;
    const inputs = this.operands(compact);
    for (const [name, tensor] of Object.entries({ w, g, ...full })) {
      const entries = { cell: { id: places.read(this.eager.stored(tensor).id, shape) }, shape };
      inputs[name] = entries;
      // Freed even if something fails; the gradient is nobody's target.
      parts.push({ target: this.eager.stored(tensor), entries, places });
    }
    this.run(graph, inputs, scalars, shape);
    const gradient = parts.findIndex(({ entries }) => entries === inputs['g']);
    this.eager.delete(parts.splice(gradient, 1)[0]!.entries.cell.id);
  }
}
