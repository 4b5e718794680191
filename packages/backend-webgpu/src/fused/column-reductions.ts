import { type Pass, type PassContext, THREADS } from './passes.js';
import { PARTIAL_RESULTS, ReductionKernel, result } from './reduction-kernel.js';
import type { ReduceNode } from './stages.js';

/** Workgroups along the rows among which a column is shared out: few where there are many columns, or few rows. */
export function sharesOf(rows: number, columns: number): number {
  return Math.max(1, Math.min(32, Math.floor(PARTIAL_RESULTS / columns), rows));
}

/** Numbers of scratch memory for one reduction: a result per column, and behind them the partial ones. */
export function columnScratch(rows: number, columns: number): number {
  return (1 + sharesOf(rows, columns)) * columns;
}

/** Reduces each column, first in shares of the rows, then by one thread that puts their results together. */
export function columnPasses(context: PassContext, reductions: readonly ReduceNode[]): readonly Pass[] {
  return [columnParts(context, reductions), columnTotals(context, reductions)];
}

function columnParts(context: PassContext, reductions: readonly ReduceNode[]): Pass {
  const kernel = new ReductionKernel(context);
  const columns = kernel.dimension('columns');
  const lines = [
    columnLines(kernel, columns),
    kernel.reduce(reductions, {
      variable: 'row',
      from: 'group.y',
      to: kernel.dimension('rows'),
      step: kernel.dimension('shares'),
      position: `let at = row * ${columns} + column;`,
    }),
    ...reductions.map(found => `  ${kernel.kept(found, `(1u + group.y) * ${columns} + column`)} = ${result(found)};`),
  ];
  return kernel.finish(lines, (height, width) => [Math.ceil(width / THREADS), sharesOf(height, width)]);
}

function columnTotals(context: PassContext, reductions: readonly ReduceNode[]): Pass {
  const kernel = new ReductionKernel(context);
  const columns = kernel.dimension('columns');
  const lines = [
    columnLines(kernel, columns),
    ...reductions.flatMap(found => [
      kernel.fold(found, {
        at: index => kernel.kept(found, `(1u + ${index}) * ${columns} + column`),
        first: '0u',
        from: '1u',
        to: kernel.dimension('shares'),
        step: '1u',
      }),
      `  ${kernel.kept(found, 'column')} = ${kernel.finished(found, 'rows')};`,
    ]),
  ];
  return kernel.finish(lines, (_, width) => [Math.ceil(width / THREADS), 1]);
}

function columnLines(kernel: ReductionKernel, columns: string): string {
  return `  let column = ${kernel.thread()};
  if (column >= ${columns}) { return; }`;
}
