import type { Graph, GraphNode } from '@frugaljs/core';
import { GraphBody } from '../wgsl/graph-body.js';
import { FLOAT, type ShaderWriter, type Width } from '../wgsl/shader.js';

/** `full` tensors have an entry per entry of the parameter, `compact` ones per entry of the tier, `shared` ones one. */
export type TensorKind = 'full' | 'compact' | 'shared';

/** What a split kernel needs to know of one tier. */
export interface TierShape {
  /** Number of the tier; that of its list, but for the last. */
  readonly tier: number;
  readonly graph: Graph;
  /** How each tensor is addressed, by name. */
  readonly kinds: ReadonlyMap<string, TensorKind>;
  /** Which tensor each name stands for. */
  readonly slots: ReadonlyMap<string, number>;
}

/** The tensors of some tiers, bound once each. */
export class TierBuffers {
  /** In the order of their bindings. */
  readonly slots: number[] = [];
  private readonly accessors = new Map<number, string>();

  constructor(writer: ShaderWriter, tiers: readonly TierShape[], written: ReadonlySet<number>, width: Width) {
    for (const { slots, kinds } of tiers) {
      for (const [name, slot] of slots) {
        if (this.accessors.has(slot)) continue;
        const element = FLOAT[kinds.get(name) === 'shared' ? 1 : width];
        this.accessors.set(slot, writer.buffer(written.has(slot) ? 'read_write' : 'read', element));
        this.slots.push(slot);
      }
    }
  }

  /** A tensor of a tier at the entry `at` of the parameter, which is the entry `spot` of the tier. */
  at({ slots, kinds }: TierShape, name: string): string {
    const index = { full: 'at', compact: 'spot', shared: '0u' }[kinds.get(name)!];
    return `${this.accessors.get(slots.get(name)!)!}[${index}]`;
  }
}

/** The values of a tier's outputs and the statements that compute them. */
export function tierBody(
  writer: ShaderWriter,
  buffers: TierBuffers,
  shape: TierShape,
  width: Width,
): { readonly lines: readonly string[]; readonly results: readonly (readonly [name: string, value: string])[] } {
  const { tier, graph } = shape;
  const sources = { input: ({ name }: { readonly name: string }) => buffers.at(shape, name), reduced: refuse };
  const body = new GraphBody(graph, writer, sources, { tier, prefix: `t${tier}v`, width });
  const results = Object.entries(graph.outputs).map(([name, { node }]) => [name, body.value(node, true)] as const);
  return { lines: body.lines, results };
}

function refuse(node: GraphNode): never {
  throw new Error(`a split has no reductions, found ${node.op}`);
}
