import { type Pass, type PassContext, THREADS } from './passes.js';
import { ReductionKernel, result } from './reduction-kernel.js';
import type { ReduceNode } from './stages.js';

/** Workgroups along the rows among which a column is shared out. */
const COLUMN_PARTS = 32;

/** Numbers of scratch memory for one reduction: a result per column, and behind them the partial ones. */
export function columnScratch(columns: number): number {
  return (1 + COLUMN_PARTS) * columns;
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
      step: `${COLUMN_PARTS}u`,
      position: `let at = row * ${columns} + column;`,
    }),
    ...reductions.map(found => `  ${kernel.kept(found, `(1u + group.y) * ${columns} + column`)} = ${result(found)};`),
  ];
  return kernel.finish(lines, (_, width) => [Math.ceil(width / THREADS), COLUMN_PARTS]);
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
        to: `${COLUMN_PARTS}u`,
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
