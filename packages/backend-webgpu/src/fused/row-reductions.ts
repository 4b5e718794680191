import { type Pass, type PassContext, THREADS } from './passes.js';
import { PARTIAL_RESULTS, ReductionKernel, result } from './reduction-kernel.js';
import type { ReduceNode } from './stages.js';

/** Threads that share out a row: few where there are many rows, and no more than there are entries. */
export function lanesOf(rows: number, columns: number): number {
  const most = Math.min(rows < 512 ? 256 : 32, Math.floor(PARTIAL_RESULTS / rows), columns);
  return Math.max(1, most);
}

/** Numbers of scratch memory for one reduction: a result per row, and behind them the partial ones. */
export function rowScratch(rows: number, columns: number): number {
  return rows * (1 + lanesOf(rows, columns));
}

/** Reduces each row, first by several threads, then by one that puts their results together. */
export function rowPasses(context: PassContext, reductions: readonly ReduceNode[]): readonly Pass[] {
  return [rowParts(context, reductions), rowTotals(context, reductions)];
}

function rowParts(context: PassContext, reductions: readonly ReduceNode[]): Pass {
  const kernel = new ReductionKernel(context);
  const [rows, columns] = [kernel.dimension('rows'), kernel.dimension('columns')];
  const lanes = kernel.dimension('lanes');
  const lines = [
    `  let thread = ${kernel.thread()};
  let row = thread / ${lanes};
  if (row >= ${rows}) { return; }`,
    kernel.reduce(reductions, {
      variable: 'i',
      from: `thread - row * ${lanes}`,
      to: columns,
      step: lanes,
      position: `let column = i; let at = row * ${columns} + column;`,
    }),
    ...reductions.map(found => `  ${kernel.kept(found, `${rows} + thread`)} = ${result(found)};`),
  ];
  return kernel.finish(lines, (height, width) => [Math.ceil((height * lanesOf(height, width)) / THREADS), 1]);
}

function rowTotals(context: PassContext, reductions: readonly ReduceNode[]): Pass {
  const kernel = new ReductionKernel(context);
  const [rows, lanes] = [kernel.dimension('rows'), kernel.dimension('lanes')];
  const lines = [
    `  let row = ${kernel.thread()};
  if (row >= ${rows}) { return; }`,
    ...reductions.flatMap(found => [
      kernel.fold(found, {
        at: index => kernel.kept(found, `${rows} + row * ${lanes} + ${index}`),
        first: '0u',
        from: '1u',
        to: lanes,
        step: '1u',
      }),
      `  ${kernel.kept(found, 'row')} = ${kernel.finished(found, 'columns')};`,
    ]),
  ];
  return kernel.finish(lines, height => [Math.ceil(height / THREADS), 1]);
}
