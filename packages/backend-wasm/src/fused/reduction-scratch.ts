import type { Graph } from '@frugaljs/core';
import { type Code, type FunctionScope, i32, type Local, sequence } from '@frugaljs/wasm-assembly';

/** Bytes of scratch memory the kernel of a graph needs for a matrix of this size. */
export function scratchBytes(graph: Graph, rows: number, columns: number): number {
  return graph.nodes.reduce((bytes, node) => {
    if (node.op !== 'reduce' || node.extent === 'tensor') return bytes;
    return bytes + paddedBytes(node.extent === 'row' ? rows : columns);
  }, 0);
}

const paddedBytes = (count: number): number => 16 * Math.ceil(count / 4);

/** Where the results of reductions per row and per column lie in the scratch memory, one array after the other. */
export class ReductionScratch {
  private readonly starts = new Map<number, Local>();

  constructor(
    private readonly graph: Graph,
    private readonly scope: FunctionScope,
    private readonly parameters: Readonly<Record<'rows' | 'columns' | 'scratch', Local>>,
  ) {}

  /** Code that finds the addresses; comes before all that uses them. */
  layOut(): Code {
    const { rows, columns, scratch } = this.parameters;
    const next = this.scope.local('i32');
    const code = [next.set(scratch)];
    this.graph.nodes.forEach((node, id) => {
      if (node.op !== 'reduce' || node.extent === 'tensor') return;
      const start = this.scope.local('i32');
      this.starts.set(id, start);
      const count = node.extent === 'row' ? rows : columns;
      code.push(start.set(next), next.advance(i32.shl(i32.shrU(i32.add(count, 3), 2), 4)));
    });
    return sequence(...code);
  }

  /** Address of the results of a reduction. */
  start(id: number): Local {
    return this.starts.get(id)!;
  }
}
