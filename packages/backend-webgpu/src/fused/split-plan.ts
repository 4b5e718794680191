import { type Graph, neededNodes, type SplitAxis, type SplitTier } from '@frugaljs/core';
import type { Tensor } from '@tensorflow/tfjs-core';
import { listedShader, restShader, type SplitShader, togetherShader } from './split-shader.js';
import type { TensorKind, TierShape } from './split-tier.js';

/** Where a tensor of a split is found at each step. */
interface Place {
  readonly tier: number;
  readonly name: string;
}

/** The kernels of a split, and how their tensors are found. */
export class SplitPlan {
  constructor(
    readonly shaders: readonly SplitShader[],
    /** By slot. */
    private readonly places: readonly Place[],
    private readonly written: ReadonlySet<number>,
  ) {}

  /** The tensors by slot. */
  tensorsOf(w: Tensor, g: Tensor, tiers: readonly SplitTier[]): readonly Tensor[] {
    return this.places.map(({ tier, name }) => tensorOf(name, w, g, tiers[tier]!));
  }

  /** The tensors that were written. */
  writtenOf(w: Tensor, tiers: readonly SplitTier[]): readonly Tensor[] {
    return this.places
      .filter((_, slot) => this.written.has(slot))
      .map(({ tier, name }) => tensorOf(name, w, w, tiers[tier]!));
  }
}

function tensorOf(name: string, w: Tensor, g: Tensor, tier: SplitTier): Tensor {
  if (name === 'w') return w;
  return name === 'g' ? g : (tier.compact[name] ?? tier.full[name] ?? tier.shared![name])!;
}

/**
 * Plans a split: one kernel for all tiers, or one for each where all together would bind more buffers than the device
 * can, or where the device takes all branches that any thread takes and so gains from kernels without.
 */
export function planSplit(
  axis: SplitAxis,
  w: Tensor,
  g: Tensor,
  tiers: readonly SplitTier[],
  { buffers, branches }: { readonly buffers: number; readonly branches: boolean },
): SplitPlan {
  const places: Place[] = [];
  const slotsByData = new Map<object, number>();
  const written = new Set<number>();
  const shapes = tiers.map((tier, i): TierShape => {
    const slots = new Map<string, number>();
    const kinds = new Map<string, TensorKind>();
    for (const name of usedNames(tier.graph)) {
      const { dataId } = tensorOf(name, w, g, tier);
      let slot = slotsByData.get(dataId);
      if (slot === undefined) {
        slot = places.length;
        slotsByData.set(dataId, slot);
        places.push({ tier: i, name });
      }
      slots.set(name, slot);
      kinds.set(
        name,
        tier.compact[name] !== undefined ? 'compact' : tier.shared?.[name] !== undefined ? 'shared' : 'full',
      );
      if (Object.hasOwn(tier.graph.outputs, name)) written.add(slot);
    }
    return { tier: i, graph: tier.graph, slots, kinds };
  });
  const listed = tiers.length - 1;
  const columns = w.shape[w.shape.length - 1] ?? 1;
  const width = axis === 'row' && columns % 4 === 0 ? 4 : 1;
  if (branches && places.length + listed <= buffers) {
    return new SplitPlan([togetherShader(axis, listed, shapes, written, width)], places, written);
  }
  const rest = shapes[listed]!;
  const isWide = (axis === 'element' ? w.size : columns) % 4 === 0;
  const shaders = [
    ...shapes.slice(0, listed).map(shape => listedShader(axis, shape, written, width)),
    axis === 'row' || !isWide
      ? togetherShader(axis, listed, [rest], written, width)
      : restShader(axis, listed, rest, written),
  ];
  return new SplitPlan(shaders, places, written);
}

/** Names of the tensors that a graph reads for its outputs, or writes. */
function usedNames(graph: Graph): readonly string[] {
  const outputs = Object.values(graph.outputs).map(({ node }) => node);
  const read = neededNodes(graph.nodes, outputs).flatMap(id => {
    const node = graph.nodes[id]!;
    return node.op === 'input' ? [node.name] : [];
  });
  return [...new Set([...read, ...Object.keys(graph.outputs)])];
}
