import type { Extent } from '@frugaljs/core';
import { type Pass, type PassContext, THREADS } from './passes.js';
import { ReductionKernel, result } from './reduction-kernel.js';
import type { ReduceNode } from './stages.js';

/** What a tensor's reduction may start from: values per element, or those that are known per row or column. */
export type Source = Exclude<Extent, 'tensor'>;

/** The number of entries of a source, by the name it has in a dispatch. */
const SIZE: Readonly<Record<Source, string>> = { element: 'size', row: 'rows', column: 'columns' };

/** Partial results that one thread puts together. */
const FEW = 256;

/** Threads that share out the entries of a tensor. */
export function partsOf(rows: number, columns: number): number {
  return Math.min(2 ** 16, Math.ceil((rows * columns) / (32 * THREADS)) * THREADS);
}

/** Numbers of scratch memory for one reduction: the result, and behind it first the few, then the many partial ones. */
export function tensorScratch(rows: number, columns: number): number {
  return 1 + FEW + partsOf(rows, columns);
}

/** Reduces a whole tensor to many partial results, these to few, and these to one. */
export function tensorPasses(context: PassContext, reductions: readonly ReduceNode[], from: Source): readonly Pass[] {
  return [manyParts(context, reductions, from), fewParts(context, reductions), total(context, reductions, from)];
}

function manyParts(context: PassContext, reductions: readonly ReduceNode[], from: Source): Pass {
  const kernel = new ReductionKernel(context);
  const columns = kernel.dimension('columns');
  const count = kernel.dimension('parts');
  const position = {
    element: `let at = i; let row = at / ${columns}; let column = at - row * ${columns};`,
    row: 'let row = i;',
    column: 'let column = i;',
  };
  const lines = [
    `  let thread = group.x * ${THREADS}u + local.x;
  if (thread >= ${count}) { return; }`,
    kernel.reduce(reductions, {
      variable: 'i',
      from: 'thread',
      to: kernel.dimension(SIZE[from]),
      step: count,
      position: position[from],
    }),
    ...reductions.map(found => `  ${kernel.kept(found, many('thread'))} = ${result(found)};`),
  ];
  return kernel.finish(lines, (rows, width) => [Math.ceil(partsOf(rows, width) / THREADS), 1]);
}

function fewParts(context: PassContext, reductions: readonly ReduceNode[]): Pass {
  const kernel = new ReductionKernel(context);
  const lines = reductions.flatMap(found => [
    // There are no fewer parts than threads.
    kernel.fold(found, {
      at: index => kernel.kept(found, many(index)),
      first: 'local.x',
      from: `local.x + ${FEW}u`,
      to: kernel.dimension('parts'),
      step: `${FEW}u`,
    }),
    `  ${kernel.kept(found, few('local.x'))} = ${result(found)};`,
  ]);
  return kernel.finish(lines, () => [1, 1], FEW);
}

function total(context: PassContext, reductions: readonly ReduceNode[], from: Source): Pass {
  const kernel = new ReductionKernel(context);
  const lines = reductions.flatMap(found => [
    kernel.fold(found, {
      at: index => kernel.kept(found, few(index)),
      first: '0u',
      from: '1u',
      to: `${FEW}u`,
      step: '1u',
    }),
    `  ${kernel.kept(found, '0u')} = ${kernel.finished(found, SIZE[from])};`,
  ]);
  return kernel.finish(lines, () => [1, 1], 1);
}

function few(index: string): string {
  return `1u + ${index}`;
}

function many(index: string): string {
  return `${1 + FEW}u + ${index}`;
}
