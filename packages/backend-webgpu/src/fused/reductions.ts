import { blockSize, type Extent, type Graph, matrixView, neededNodes, operandsOf, type Shape } from '@frugaljs/core';
import { type Pass, type PassContext, THREADS } from './passes.js';
import { type ReduceNode, ReductionKernel, resultOf } from './reduction-kernel.js';

/** Results of threads that share out a row or a column, about so many at most: as scratch memory, 8 MiB. */
const PARTIAL_RESULTS = 2 ** 21;

/** The float32 infinity as an integer. */
const INFINITY_BITS = 0x7f800000;

/**
 * The reductions of a graph in the order in which they can be computed: those of a stage need only the results of
 * earlier stages. Reductions that no output needs are left out.
 */
export function reductionStages(graph: Graph): readonly (readonly ReduceNode[])[] {
  const depth: number[] = [];
  const outputs = Object.values(graph.outputs).map(({ node }) => node);
  const needed = new Set(neededNodes(graph.nodes, outputs));
  const stages: ReduceNode[][] = [];
  graph.nodes.forEach((node, id) => {
    const below = operandsOf(node).reduce((most, operand) => Math.max(most, depth[operand]!), 0);
    depth.push(below + (node.op === 'reduce' ? 1 : 0));
    if (node.op !== 'reduce' || !needed.has(id)) return;
    while (stages.length <= below) stages.push([]);
    stages[below]!.push({ id, node });
  });
  return stages;
}

const SOURCES: readonly ReductionSource[] = ['element', 'block', 'row', 'column'];

/** What there is one value for, whatever the size of a block. */
type Kind = 'element' | 'row' | 'column' | 'tensor' | 'block' | 'host';

function kindOf(extent: Extent | 'host'): Kind {
  return blockSize(extent) === null ? (extent as Kind) : 'block';
}

/** The kernels of all reductions of a stage. No kernel has a barrier: software adapters pay dearly for them. */
export function reductionPasses(context: PassContext, stage: readonly ReduceNode[]): readonly Pass[] {
  const of = (from: Kind, per: Kind): readonly ReduceNode[] =>
    stage.filter(({ node }) => kindOf(context.graph.nodes[node.x]!.extent) === from && kindOf(node.extent) === per);
  const passes: Pass[] = [];
  const perBlock = of('element', 'block');
  if (perBlock.length > 0) passes.push(blockPass(context, perBlock));
  const ofBlocks = of('block', 'row');
  if (ofBlocks.length > 0) passes.push(rowsOfBlocks(context, ofBlocks));
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

/** Where the result of each reduction lies in the scratch memory, and how large that is. */
export function layoutScratch(
  reductions: readonly ReduceNode[],
  shape: Shape,
): { readonly offsets: ReadonlyMap<number, number>; readonly length: number } {
  const [rows, columns] = matrixView(shape);
  const offsets = new Map<number, number>();
  let length = 0;
  for (const reduction of reductions) {
    offsets.set(reduction.id, length);
    length += scratchOf(reduction, rows, columns);
  }
  return { offsets, length };
}

/** Numbers of scratch memory that a reduction needs: its results, and after them partial ones. */
function scratchOf({ node }: ReduceNode, rows: number, columns: number): number {
  switch (node.extent) {
    case 'row':
      return rowScratch(rows, columns);
    case 'column':
      return columnScratch(rows, columns);
    case 'element':
    case 'tensor':
      return tensorScratch(rows, columns);
    default:
      return rows * Math.ceil(columns / blockSize(node.extent)!);
  }
}

/**
 * The numbers of a dispatch that reductions read: among how many threads each kind is shared out, how many blocks there
 * are, and an infinity.
 */
export function reductionNumbers(rows: number, columns: number, size: number): Record<string, number> {
  const blocks = Math.ceil(columns / size);
  return {
    blocks,
    'all blocks': rows * blocks,
    lanes: lanesOf(rows, columns),
    shares: sharesOf(rows, columns),
    parts: partsOf(rows, columns),
    infinity: INFINITY_BITS,
  };
}

/** Reduces each block by a thread of its own: blocks are short. */
function blockPass(context: PassContext, reductions: readonly ReduceNode[]): Pass {
  const kernel = new ReductionKernel(context);
  const [columns, blocks] = [kernel.dimension('columns'), kernel.dimension('blocks')];
  const size = blockSize(reductions[0]!.node.extent)!;
  const lines = [
    `  let block = ${kernel.thread()};
  if (block >= ${kernel.dimension('all blocks')}) { return; }
  let row = block / ${blocks};
  let first = (block - row * ${blocks}) * ${size}u;`,
    kernel.reduce(reductions, {
      variable: 'column',
      from: 'first',
      to: `min(first + ${size}u, ${columns})`,
      step: '1u',
      position: `let at = row * ${columns} + column;`,
    }),
    ...reductions.map(found => {
      const share = found.node.reduction === 'mean' ? ` / ${size}.0` : '';
      return `  ${kernel.kept(found, 'block')} = ${resultOf(found)}${share};`;
    }),
  ];
  return kernel.finish(lines, (height, width) => [Math.ceil((height * Math.ceil(width / size)) / THREADS), 1]);
}

/** Reduces the values per block of each row. */
function rowsOfBlocks(context: PassContext, reductions: readonly ReduceNode[]): Pass {
  const kernel = new ReductionKernel(context);
  const blocks = kernel.dimension('blocks');
  const lines = [
    `  let row = ${kernel.thread()};
  if (row >= ${kernel.dimension('rows')}) { return; }`,
    kernel.reduce(reductions, {
      variable: 'i',
      from: '0u',
      to: blocks,
      step: '1u',
      position: `let block = row * ${blocks} + i;`,
    }),
    ...reductions.map(found => `  ${kernel.kept(found, 'row')} = ${kernel.finished(found, 'blocks')};`),
  ];
  return kernel.finish(lines, height => [Math.ceil(height / THREADS), 1]);
}

/** Threads that share out a row: few where there are many rows, and no more than there are entries. */
function lanesOf(rows: number, columns: number): number {
  const most = Math.min(rows < 512 ? 256 : 32, Math.floor(PARTIAL_RESULTS / rows), columns);
  return Math.max(1, most);
}

/** Numbers of scratch memory for one reduction: a result per row, and behind them the partial ones. */
function rowScratch(rows: number, columns: number): number {
  return rows * (1 + lanesOf(rows, columns));
}

/** Reduces each row, first by several threads, then by one that puts their results together. */
function rowPasses(context: PassContext, reductions: readonly ReduceNode[]): readonly Pass[] {
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
      position: `let column = i; let at = row * ${columns} + column; ${kernel.blockLine()}`,
    }),
    ...reductions.map(found => `  ${kernel.kept(found, `${rows} + thread`)} = ${resultOf(found)};`),
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

/** Workgroups along the rows among which a column is shared out: few where there are many columns, or few rows. */
function sharesOf(rows: number, columns: number): number {
  return Math.max(1, Math.min(32, Math.floor(PARTIAL_RESULTS / columns), rows));
}

/** Numbers of scratch memory for one reduction: a result per column, and behind them the partial ones. */
function columnScratch(rows: number, columns: number): number {
  return (1 + sharesOf(rows, columns)) * columns;
}

/** Reduces each column, first in shares of the rows, then by one thread that puts their results together. */
function columnPasses(context: PassContext, reductions: readonly ReduceNode[]): readonly Pass[] {
  return [columnParts(context, reductions), columnTotals(context, reductions)];
}

function columnParts(context: PassContext, reductions: readonly ReduceNode[]): Pass {
  const kernel = new ReductionKernel(context);
  const columns = kernel.dimension('columns');
  const share = `group.y + ${kernel.dimension('base y')}`;
  const lines = [
    columnLines(kernel, columns),
    kernel.reduce(reductions, {
      variable: 'row',
      from: share,
      to: kernel.dimension('rows'),
      step: kernel.dimension('shares'),
      position: `let at = row * ${columns} + column; ${kernel.blockLine()}`,
    }),
    ...reductions.map(
      found => `  ${kernel.kept(found, `(1u + ${share}) * ${columns} + column`)} = ${resultOf(found)};`,
    ),
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

/** What a tensor's reduction may start from: values per element, or those that are known per block, row or column. */
type ReductionSource = Exclude<Kind, 'tensor' | 'host'>;

/** The number of entries of a source, by the name it has in a dispatch. */
const SIZE: Readonly<Record<ReductionSource, string>> = {
  element: 'size',
  block: 'all blocks',
  row: 'rows',
  column: 'columns',
};

/** Partial results that one thread puts together. */
const FEW = 256;

/** Threads that share out the entries of a tensor. */
function partsOf(rows: number, columns: number): number {
  return Math.min(2 ** 16, Math.ceil((rows * columns) / (32 * THREADS)) * THREADS);
}

/** Numbers of scratch memory for one reduction: the result, and behind it first the few, then the many partial ones. */
function tensorScratch(rows: number, columns: number): number {
  return 1 + FEW + partsOf(rows, columns);
}

/** Reduces a whole tensor to many partial results, these to few, and these to one. */
function tensorPasses(context: PassContext, reductions: readonly ReduceNode[], from: ReductionSource): readonly Pass[] {
  return [manyParts(context, reductions, from), fewParts(context, reductions), total(context, reductions, from)];
}

function manyParts(context: PassContext, reductions: readonly ReduceNode[], from: ReductionSource): Pass {
  const kernel = new ReductionKernel(context);
  const columns = kernel.dimension('columns');
  const count = kernel.dimension('parts');
  const position = {
    element: `let at = i; let row = at / ${columns}; let column = at - row * ${columns}; ${kernel.blockLine()}`,
    block: `let block = i; let row = block / ${kernel.dimension('blocks')};`,
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
    ...reductions.map(found => `  ${kernel.kept(found, many('thread'))} = ${resultOf(found)};`),
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
    `  ${kernel.kept(found, few('local.x'))} = ${resultOf(found)};`,
  ]);
  return kernel.finish(lines, () => [1, 1], FEW);
}

function total(context: PassContext, reductions: readonly ReduceNode[], from: ReductionSource): Pass {
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
