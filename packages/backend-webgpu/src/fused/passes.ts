import { type Extent, type Graph, matrixView, type Shape } from '@frugaljs/core';
import { GraphBody } from '../wgsl/graph-body.js';
import { WGSL_COMBINE, wgslIdentity } from '../wgsl/operations.js';
import { type Shader, ShaderWriter } from '../wgsl/shader.js';
import { PassBuffers, POSITION, type RunBuffers, sourcesAt, text } from './bindings.js';
import type { ReduceNode } from './stages.js';

/** Threads of a workgroup. */
export const THREADS = 256;

/** Workgroups among which a sum over all entries is shared out; as many partial results. */
export const PARTIALS = 256;

/** Workgroups along the rows among which sums per column are shared out. */
export const COLUMN_PARTS = 32;

/** One kernel of a run. */
export interface Pass {
  readonly shader: Shader;
  /** Slots of the bound tensors; -1 for the scratch memory. */
  readonly slots: readonly number[];
  /** For each slot whether it holds one number for all entries. */
  readonly isShared: readonly boolean[];
  /** What there is one thread (or one term of a sum) for. */
  readonly extent: Extent;
  /** Workgroups needed for a matrix; a pass over entries may be cut into dispatches along x. */
  readonly groups: (rows: number, columns: number) => readonly [x: number, y: number];
}

/** What all passes of a run share. */
export interface PassContext {
  readonly graph: Graph;
  readonly buffers: RunBuffers;
  readonly filled: ReadonlySet<string>;
}

/** Number of entries of an extent. */
export function entriesOf(extent: Extent, shape: Shape): number {
  const [rows, columns] = matrixView(shape);
  return { element: rows * columns, row: rows, column: columns, tensor: 1 }[extent];
}

/** Computes and stores all outputs of one extent, one entry per thread. */
export function writePass({ graph, buffers, filled }: PassContext, extent: Extent): Pass | null {
  const outputs = Object.entries(graph.outputs).filter(([, output]) => output.extent === extent);
  if (outputs.length === 0) return null;
  const writer = new ShaderWriter();
  const written = new Set(outputs.map(([name]) => buffers.slot(`out ${name}`)));
  const pass = new PassBuffers(buffers, writer, written);
  const body = new GraphBody(graph, writer, sourcesAt(pass, writer, filled));
  const values = outputs.map(([, { node }]) => body.value(node));
  const stores = outputs.map(
    ([name], i) => `  ${pass.tensor(`out ${name}`, extent)}[${POSITION[extent]}] = ${values[i]};`,
  );
  const count = writer.dimension('count');
  const start = `  let at = (group.x + ${writer.dimension('base')}) * ${THREADS}u + local.x;
  if (at >= ${count}) { return; }
${positionLines(writer, extent)}`;
  const shader = writer.finish([THREADS, 1], [start, text(body), ...stores].join('\n'));
  return {
    shader,
    slots: pass.slots,
    isShared: pass.isShared,
    extent,
    groups: (rows, columns) => [
      Math.ceil({ element: rows * columns, row: rows, column: columns, tensor: 1 }[extent] / THREADS),
      1,
    ],
  };
}

/** Names the row and column of the entry `at` of an extent. */
function positionLines(writer: ShaderWriter, extent: Extent): string {
  switch (extent) {
    case 'element':
      return `  let row = at / ${writer.dimension('columns')};\n  let column = at - row * ${writer.dimension('columns')};`;
    case 'row':
      return '  let row = at;';
    case 'column':
      return '  let column = at;';
    case 'tensor':
      return '';
  }
}

/** The kernels of all reductions of a stage. */
export function reductionPasses(context: PassContext, stage: readonly ReduceNode[]): readonly Pass[] {
  const source = ({ node }: ReduceNode): Extent => context.graph.nodes[node.x]!.extent as Extent;
  const of = (from: Extent, per: Extent): readonly ReduceNode[] =>
    stage.filter(found => source(found) === from && found.node.extent === per);
  const passes: Pass[] = [];
  const perRow = of('element', 'row');
  if (perRow.length > 0) passes.push(strided(context, perRow, 'row'));
  const perColumn = of('element', 'column');
  if (perColumn.length > 0) passes.push(columnParts(context, perColumn), columnTotals(context, perColumn));
  const all = of('element', 'tensor');
  if (all.length > 0) passes.push(strided(context, all, 'parts'), totals(context, all));
  const ofRows = of('row', 'tensor');
  if (ofRows.length > 0) passes.push(strided(context, ofRows, 'rows'));
  const ofColumns = of('column', 'tensor');
  if (ofColumns.length > 0) passes.push(strided(context, ofColumns, 'columns'));
  return passes;
}

/** What a workgroup goes through, thread by thread, and where its result goes. */
const STRIDES = {
  row: {
    from: 'local.x',
    to: 'columns',
    step: `${THREADS}u`,
    position: (columns: string) => `let row = unit; let column = i; let at = row * ${columns} + column;`,
    place: ' + unit',
    count: ['columns'],
    groups: (rows: number) => rows,
  },
  parts: {
    from: `unit * ${THREADS}u + local.x`,
    to: 'count',
    step: `${PARTIALS * THREADS}u`,
    position: (columns: string) => `let at = i; let row = at / ${columns}; let column = at - row * ${columns};`,
    place: ' + 1u + unit',
    count: [],
    groups: () => PARTIALS,
  },
  rows: {
    from: 'local.x',
    to: 'rows',
    step: `${THREADS}u`,
    position: () => 'let row = i;',
    place: '',
    count: ['rows'],
    groups: () => 1,
  },
  columns: {
    from: 'local.x',
    to: 'columns',
    step: `${THREADS}u`,
    position: () => 'let column = i;',
    place: '',
    count: ['columns'],
    groups: () => 1,
  },
} as const;

/** Each workgroup reduces a row, a part of all entries, or a vector. */
function strided(
  { graph, buffers, filled }: PassContext,
  reductions: readonly ReduceNode[],
  kind: keyof typeof STRIDES,
): Pass {
  const stride = STRIDES[kind];
  const writer = new ShaderWriter();
  const pass = new PassBuffers(buffers, writer, new Set());
  const body = new GraphBody(graph, writer, sourcesAt(pass, writer, filled));
  const values = reductions.map(({ node }) => body.value(node.x));
  const scratch = pass.scratch();
  const infinity = writer.dimension('infinity');
  const counted = stride.count.map(name => ` / f32(${writer.dimension(name)})`).join('');
  const lines = [
    `  let unit = group.x + ${writer.dimension('base')};`,
    ...reductions.map(({ id, node }) => `  var r${id} = ${wgslIdentity(node.reduction, infinity)};`),
    `  for (var i = ${stride.from}; i < ${writer.dimension(stride.to)}; i += ${stride.step}) {`,
    `    ${stride.position(writer.dimension('columns'))}`,
    text(body, '    '),
    ...reductions.map(({ id, node }, i) => `    r${id} = ${WGSL_COMBINE[node.reduction](`r${id}`, values[i]!)};`),
    '  }',
    ...reductions.map(reduction => {
      const isMean = reduction.node.reduction === 'mean';
      const target = `${scratch}[${writer.scratchOffset(reduction.id)}${stride.place}]`;
      return treeLines(writer, reduction, target, isMean ? counted : '');
    }),
  ];
  return {
    shader: writer.finish([THREADS, 1], lines.join('\n')),
    slots: pass.slots,
    isShared: pass.isShared,
    extent: 'element',
    groups: rows => [stride.groups(rows), 1],
  };
}

/** Reduces `r` over the threads of a workgroup. */
function treeLines(writer: ShaderWriter, { id, node }: ReduceNode, target: string, counted: string): string {
  const memory = writer.workgroupMemory('f32', THREADS);
  const combine = WGSL_COMBINE[node.reduction];
  return `  ${memory}[local.x] = r${id};
  for (var half = ${THREADS / 2}u; half > 0u; half /= 2u) {
    workgroupBarrier();
    if (local.x < half) { ${memory}[local.x] = ${combine(`${memory}[local.x]`, `${memory}[local.x + half]`)}; }
  }
  if (local.x == 0u) { ${target} = ${memory}[0]${counted}; }`;
}

/** From the partial results of all entries to the result, which lies in front of them. */
function totals({ buffers }: PassContext, reductions: readonly ReduceNode[]): Pass {
  const writer = new ShaderWriter();
  const pass = new PassBuffers(buffers, writer, new Set());
  const scratch = pass.scratch();
  const count = writer.dimension('count');
  const lines = reductions.map(reduction => {
    const { id, node } = reduction;
    const offset = writer.scratchOffset(id);
    const counted = node.reduction === 'mean' ? ` / f32(${count})` : '';
    return `  let r${id} = ${scratch}[${offset} + 1u + local.x];\n${treeLines(writer, reduction, `${scratch}[${offset}]`, counted)}`;
  });
  return {
    shader: writer.finish([PARTIALS, 1], lines.join('\n')),
    slots: pass.slots,
    isShared: pass.isShared,
    extent: 'element',
    groups: () => [1, 1],
  };
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
    ...reductions.map(({ id, node }, i) => `    r${id} = ${WGSL_COMBINE[node.reduction](`r${id}`, values[i]!)};`),
    '  }',
    ...reductions.map(
      ({ id }) => `  ${scratch}[${writer.scratchOffset(id)} + (1u + group.y) * ${columns} + column] = r${id};`,
    ),
  ];
  return {
    shader: writer.finish([THREADS, 1], lines.join('\n')),
    slots: pass.slots,
    isShared: pass.isShared,
    extent: 'element',
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
  for (var part = 1u; part < ${COLUMN_PARTS}u; part++) { r${id} = ${WGSL_COMBINE[node.reduction](`r${id}`, part)}; }
  ${scratch}[${offset} + column] = r${id}${counted};`;
    }),
  ];
  return {
    shader: writer.finish([THREADS, 1], lines.join('\n')),
    slots: pass.slots,
    isShared: pass.isShared,
    extent: 'element',
    groups: (_, width) => [Math.ceil(width / THREADS), 1],
  };
}

/** Numbers of scratch memory that a reduction needs: its results, and after them partial ones. */
export function scratchOf(graph: Graph, { node }: ReduceNode, rows: number, columns: number): number {
  const source = graph.nodes[node.x]!.extent;
  if (node.extent === 'row') return rows;
  if (node.extent === 'column') return (1 + COLUMN_PARTS) * columns;
  return source === 'element' ? 1 + PARTIALS : 1;
}
