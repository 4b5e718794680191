import type { Extent } from '@frugaljs/core';
import { columnPasses, columnScratch } from './column-reductions.js';
import type { Pass, PassContext } from './passes.js';
import { rowPasses, rowScratch } from './row-reductions.js';
import type { ReduceNode } from './stages.js';
import { type Source, tensorPasses, tensorScratch } from './tensor-reductions.js';

const SOURCES: readonly Source[] = ['element', 'row', 'column'];

/** The kernels of all reductions of a stage. No kernel has a barrier: software adapters pay dearly for them. */
export function reductionPasses(context: PassContext, stage: readonly ReduceNode[]): readonly Pass[] {
  const of = (from: Extent, per: Extent): readonly ReduceNode[] =>
    stage.filter(({ node }) => context.graph.nodes[node.x]!.extent === from && node.extent === per);
  const passes: Pass[] = [];
  const perRow = of('element', 'row');
  if (perRow.length > 0) passes.push(...rowPasses(context, perRow));
  const perColumn = of('element', 'column');
  if (perColumn.length > 0) passes.push(...columnPasses(context, perColumn));
  for (const from of SOURCES) {
    const all = of(from, 'tensor');
    if (all.length > 0) passes.push(...tensorPasses(context, all, from));
  }
  return passes;
}

/** Numbers of scratch memory that a reduction needs: its results, and after them partial ones. */
export function scratchOf({ node }: ReduceNode, rows: number, columns: number): number {
  switch (node.extent) {
    case 'row':
      return rowScratch(rows, columns);
    case 'column':
      return columnScratch(rows, columns);
    default:
      return tensorScratch(rows, columns);
  }
}
