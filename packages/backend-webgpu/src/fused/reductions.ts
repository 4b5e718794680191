import type { Extent } from '@frugaljs/core';
import { GraphBody } from '../wgsl/graph-body.js';
import { wgslCombine, wgslIdentity } from '../wgsl/operations.js';
import { ShaderWriter } from '../wgsl/shader.js';
import { PassBuffers, sourcesAt, text } from './bindings.js';
import { bound, type Pass, type PassContext, THREADS } from './passes.js';
import type { ReduceNode } from './stages.js';

/** Partial results of a whole tensor that one thread puts together. */
const FEW = 256;

/** Workgroups along the rows among which sums per column are shared out. */
export const COLUMN_PARTS = 32;

/** The kernels of all reductions of a stage. No kernel has a barrier: software adapters pay dearly for them. */
export function reductionPasses(context: PassContext, stage: readonly ReduceNode[]): readonly Pass[] {
  const source = ({ node }: ReduceNode): Extent => context.graph.nodes[node.x]!.extent as Extent;
  const of = (from: Extent, per: Extent): readonly ReduceNode[] =>
    stage.filter(found => source(found) === from && found.node.extent === per);
  const passes: Pass[] = [];
  const perRow = of('element', 'row');
  if (perRow.length > 0) passes.push(rowParts(context, perRow), rowTotals(context, perRow));
  const perColumn = of('element', 'column');
  if (perColumn.length > 0) passes.push(columnParts(context, perColumn), columnTotals(context, perColumn));
  for (const from of ['element', 'row', 'column'] as const) {
    const all = of(from, 'tensor');
    if (all.length > 0) passes.push(parts(context, all, from), fewerParts(context, all), total(context, all, from));
  }
  return passes;
}

/** Threads that share out a row: few where there are many rows. */
export function lanesOf(rows: number): number {
  return rows < 512 ? 256 : 32;
}

/** Threads that share out the entries of a tensor. */
export function partsOf(rows: number, columns: number): number {
  return Math.min(2 ** 16, Math.ceil((rows * columns) / (32 * THREADS)) * THREADS);
}

/** Runs a body over what a thread goes through, and keeps a result per reduction. */
function loopLines(
  writer: ShaderWriter,
  { graph, filled }: PassContext,
  pass: PassBuffers,
  reductions: readonly ReduceNode[],
  loop: { readonly from: string; readonly to: string; readonly step: string; readonly position: string },
): string {
  const body = new GraphBody(graph, writer, sourcesAt(pass, writer, filled));
  const values = reductions.map(({ node }) => body.value(node.x));
  const infinity = writer.dimension('infinity');
  return [
    ...reductions.map(({ id, node }) => `  var r${id} = ${wgslIdentity(node.reduction, infinity)};`),
    `  for (var i = ${loop.from}; i < ${loop.to}; i += ${loop.step}) {`,
    `    ${loop.position}`,
    text(body, '    '),
    ...reductions.map(({ id, node }, i) => `    r${id} = ${wgslCombine(node.reduction, `r${id}`, values[i]!)};`),
    '  }',
  ].join('\n');
}

/** Partial results per row. */
function rowParts(context: PassContext, reductions: readonly ReduceNode[]): Pass {
  const writer = new ShaderWriter();
  const pass = new PassBuffers(context.buffers, writer, new Set());
  const scratch = pass.scratch();
  const [rows, columns] = [writer.dimension('rows'), writer.dimension('columns')];
  const lanes = writer.dimension('lanes');
  const lines = [
    `  let thread = (group.x + ${writer.dimension('base')}) * ${THREADS}u + local.x;
  let row = thread / ${lanes};
  if (row >= ${rows}) { return; }`,
    loopLines(writer, context, pass, reductions, {
      from: `thread - row * ${lanes}`,
      to: columns,
      step: lanes,
      position: `let column = i; let at = row * ${columns} + column;`,
    }),
    ...reductions.map(({ id }) => `  ${scratch}[${writer.scratchOffset(id)} + ${rows} + thread] = r${id};`),
  ];
  return {
    ...bound(pass),
    shader: writer.finish([THREADS, 1], lines.join('\n')),
    groups: height => [Math.ceil((height * lanesOf(height)) / THREADS), 1],
  };
}

/** From the partial results per row to the results, which lie in front of them. */
function rowTotals({ buffers }: PassContext, reductions: readonly ReduceNode[]): Pass {
  const writer = new ShaderWriter();
  const pass = new PassBuffers(buffers, writer, new Set());
  const scratch = pass.scratch();
  const [rows, lanes] = [writer.dimension('rows'), writer.dimension('lanes')];
  const lines = [
    `  let row = (group.x + ${writer.dimension('base')}) * ${THREADS}u + local.x;
  if (row >= ${rows}) { return; }`,
    ...reductions.map(({ id, node }) => {
      const offset = writer.scratchOffset(id);
      const part = `${scratch}[${offset} + ${rows} + row * ${lanes} + i]`;
      const counted = node.reduction === 'mean' ? ` / f32(${writer.dimension('columns')})` : '';
      return foldLines(id, node.reduction, part, lanes, `${scratch}[${offset} + row]`, counted);
    }),
  ];
  return {
    ...bound(pass),
    shader: writer.finish([THREADS, 1], lines.join('\n')),
    groups: height => [Math.ceil(height / THREADS), 1],
  };
}

/** Combines the parts `0 … count - 1`, named with the index `i`. */
function foldLines(
  id: number,
  reduction: ReduceNode['node']['reduction'],
  part: string,
  count: string,
  target: string,
  counted: string,
): string {
  const at = (index: string): string => part.replace(/\bi\]$/, `${index}]`);
  return `  var r${id} = ${at('0u')};
  for (var i = 1u; i < ${count}; i++) { r${id} = ${wgslCombine(reduction, `r${id}`, at('i'))}; }
  ${target} = r${id}${counted};`;
}

/** Partial results of all entries of an extent. */
function parts(context: PassContext, reductions: readonly ReduceNode[], from: 'element' | 'row' | 'column'): Pass {
  const writer = new ShaderWriter();
  const pass = new PassBuffers(context.buffers, writer, new Set());
  const scratch = pass.scratch();
  const columns = writer.dimension('columns');
  const count = writer.dimension('parts');
  const position = {
    element: `let at = i; let row = at / ${columns}; let column = at - row * ${columns};`,
    row: 'let row = i;',
    column: 'let column = i;',
  };
  const lines = [
    `  let thread = group.x * ${THREADS}u + local.x;
  if (thread >= ${count}) { return; }`,
    loopLines(writer, context, pass, reductions, {
      from: 'thread',
      to: { element: writer.dimension('size'), row: writer.dimension('rows'), column: columns }[from],
      step: count,
      position: position[from],
    }),
    ...reductions.map(({ id }) => `  ${scratch}[${writer.scratchOffset(id)} + ${1 + FEW}u + thread] = r${id};`),
  ];
  return {
    ...bound(pass),
    shader: writer.finish([THREADS, 1], lines.join('\n')),
    groups: (rows, width) => [Math.ceil(partsOf(rows, width) / THREADS), 1],
  };
}

/** From many partial results to few. */
function fewerParts({ buffers }: PassContext, reductions: readonly ReduceNode[]): Pass {
  const writer = new ShaderWriter();
  const pass = new PassBuffers(buffers, writer, new Set());
  const scratch = pass.scratch();
  // There are no fewer parts than threads.
  const lines = reductions.map(({ id, node }) => {
    const offset = writer.scratchOffset(id);
    const part = (index: string): string => `${scratch}[${offset} + ${1 + FEW}u + ${index}]`;
    return `  var r${id} = ${part('local.x')};
  for (var i = local.x + ${FEW}u; i < ${writer.dimension('parts')}; i += ${FEW}u) { r${id} = ${wgslCombine(node.reduction, `r${id}`, part('i'))}; }
  ${scratch}[${offset} + 1u + local.x] = r${id};`;
  });
  return { ...bound(pass), shader: writer.finish([FEW, 1], lines.join('\n')), groups: () => [1, 1] };
}

/** From few partial results to the result, which lies in front of them. */
function total({ buffers }: PassContext, reductions: readonly ReduceNode[], from: 'element' | 'row' | 'column'): Pass {
  const writer = new ShaderWriter();
  const pass = new PassBuffers(buffers, writer, new Set());
  const scratch = pass.scratch();
  const size = { element: 'size', row: 'rows', column: 'columns' }[from];
  const lines = reductions.map(({ id, node }) => {
    const offset = writer.scratchOffset(id);
    const counted = node.reduction === 'mean' ? ` / f32(${writer.dimension(size)})` : '';
    return foldLines(id, node.reduction, `${scratch}[${offset} + 1u + i]`, `${FEW}u`, `${scratch}[${offset}]`, counted);
  });
  return { ...bound(pass), shader: writer.finish([1, 1], lines.join('\n')), groups: () => [1, 1] };
}

/** One partial result per column and share of the rows. */
function columnParts({ graph, buffers, filled }: PassContext, reductions: readonly ReduceNode[]): Pass {
  const writer = new ShaderWriter();
  const pass = new PassBuffers(buffers, writer, new Set());
  const body = new GraphBody(graph, writer, sourcesAt(pass, writer, filled));
  const values = reductions.map(({ node }) => body.value(node.x));
  const scratch = pass.scratch();
  const columns = writer.dimension('columns');
  const infinity = writer.dimension('infinity');
  const lines = [
    `  let column = (group.x + ${writer.dimension('base')}) * ${THREADS}u + local.x;`,
    `  if (column >= ${columns}) { return; }`,
    ...reductions.map(({ id, node }) => `  var r${id} = ${wgslIdentity(node.reduction, infinity)};`),
    `  for (var row = group.y; row < ${writer.dimension('rows')}; row += ${COLUMN_PARTS}u) {`,
    `    let at = row * ${columns} + column;`,
    text(body, '    '),
    ...reductions.map(({ id, node }, i) => `    r${id} = ${wgslCombine(node.reduction, `r${id}`, values[i]!)};`),
    '  }',
    ...reductions.map(
      ({ id }) => `  ${scratch}[${writer.scratchOffset(id)} + (1u + group.y) * ${columns} + column] = r${id};`,
    ),
  ];
  return {
    ...bound(pass),
    shader: writer.finish([THREADS, 1], lines.join('\n')),
    groups: (_, width) => [Math.ceil(width / THREADS), COLUMN_PARTS],
  };
}

/** From the partial results per column to the results, which lie in front of them. */
function columnTotals({ buffers }: PassContext, reductions: readonly ReduceNode[]): Pass {
  const writer = new ShaderWriter();
  const pass = new PassBuffers(buffers, writer, new Set());
  const scratch = pass.scratch();
  const columns = writer.dimension('columns');
  const rows = writer.dimension('rows');
  const lines = [
    `  let column = (group.x + ${writer.dimension('base')}) * ${THREADS}u + local.x;`,
    `  if (column >= ${columns}) { return; }`,
    ...reductions.map(({ id, node }) => {
      const offset = writer.scratchOffset(id);
      const counted = node.reduction === 'mean' ? ` / f32(${rows})` : '';
      const part = `${scratch}[${offset} + (1u + part) * ${columns} + column]`;
      return `  var r${id} = ${scratch}[${offset} + ${columns} + column];
  for (var part = 1u; part < ${COLUMN_PARTS}u; part++) { r${id} = ${wgslCombine(node.reduction, `r${id}`, part)}; }
  ${scratch}[${offset} + column] = r${id}${counted};`;
    }),
  ];
  return {
    ...bound(pass),
    shader: writer.finish([THREADS, 1], lines.join('\n')),
    groups: (_, width) => [Math.ceil(width / THREADS), 1],
  };
}

/** Numbers of scratch memory that a reduction needs: its results, and after them partial ones. */
export function scratchOf({ node }: ReduceNode, rows: number, columns: number): number {
  if (node.extent === 'row') return rows * (1 + lanesOf(rows));
  if (node.extent === 'column') return (1 + COLUMN_PARTS) * columns;
  return 1 + FEW + partsOf(rows, columns);
}
