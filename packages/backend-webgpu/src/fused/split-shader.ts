import type { Graph, GraphNode } from '@frugaljs/core';
import { GraphBody } from '../wgsl/graph-body.js';
import { type Shader, ShaderWriter } from '../wgsl/shader.js';

export type SplitAxis = 'row' | 'column' | 'element';

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

/** `full` tensors have an entry per entry of the parameter, `compact` ones per entry of the tier, `shared` ones one. */
export type TensorKind = 'full' | 'compact' | 'shared';

/** A kernel and the tensors it binds: first the index lists by tier, then tensors by slot. */
export interface SplitShader {
  readonly shader: Shader;
  readonly lists: readonly number[];
  readonly slots: readonly number[];
  /** Rows and columns that a workgroup covers; for a flat split, entries. */
  readonly tile: readonly [rows: number, columns: number];
}

/** Threads of a workgroup that walks over a matrix. */
const WIDTH = 64;
const HEIGHT = 4;
/** Entries that a thread updates, so that it looks its tier up once for all of them. */
const PER_THREAD = 8;

const FLAT_THREADS = 256;
/** Lists that a workgroup can mark in 16 KiB of shared memory with 1024 entries each; with more, it covers 256. */
const FEW_LISTS = 3;

/** First position in a list whose index is not below the given one. */
function searchFunction(list: string, name: string): string {
  return `fn ${name}(index: u32, count: u32) -> u32 {
  var low = 0u;
  var high = count;
  while (low < high) {
    let middle = (low + high) / 2u;
    if (u32(${list}[middle]) < index) { low = middle + 1u; } else { high = middle; }
  }
  return low;
}`;
}

/**
 * A kernel that updates the entries of some tiers of a parameter in place. Tiers share no entry, so that it does not
 * matter whether all of them run at once or one after the other.
 *
 * @param listed Number of tiers with index lists in the whole split.
 * @param tiers The tiers to update, ascending.
 * @param written Slots that some tier writes.
 */
export function splitShader(
  axis: SplitAxis,
  listed: number,
  tiers: readonly TierShape[],
  written: ReadonlySet<number>,
): SplitShader {
  const writer = new ShaderWriter();
  // The last tier has what is in no list, so it needs all of them.
  const hasRest = tiers.some(({ tier }) => tier === listed);
  const lists = hasRest ? Array.from({ length: listed }, (_, i) => i) : tiers.map(({ tier }) => tier);
  const listBuffers = new Map(lists.map(list => [list, writer.buffer('read', 'i32')]));
  const slots: number[] = [];
  const accessors = new Map<number, string>();
  for (const { slots: own } of tiers) {
    for (const slot of own.values()) {
      if (accessors.has(slot)) continue;
      accessors.set(slot, writer.buffer(written.has(slot) ? 'read_write' : 'read'));
      slots.push(slot);
    }
  }
  const functions = lists.map(list => searchFunction(listBuffers.get(list)!, `search${list}`)).join('\n');
  const columns = writer.dimension('columns');
  const counts = new Map(lists.map(list => [list, writer.dimension(`count ${list}`)]));

  const compactPlace: Record<SplitAxis, (list: number) => string> = {
    row: list => `place${list} * ${columns} + column`,
    column: list => `row * ${counts.get(list)!} + place${list}`,
    element: list => `place${list}`,
  };
  const updates = tiers.map(({ tier, graph, kinds, slots: own }) => {
    const place = tier === listed ? '' : `    let spot = ${compactPlace[axis](tier)};\n`;
    const address = (name: string): string =>
      `${accessors.get(own.get(name)!)!}[${{ full: 'at', compact: 'spot', shared: '0u' }[kinds.get(name)!]}]`;
    const body = new GraphBody(
      graph,
      writer,
      {
        input: ({ name }) => address(name),
        reduced: (node: GraphNode) => {
          throw new Error(`a split has no reductions, found ${node.op}`);
        },
      },
      tier,
      `t${tier}v`,
    );
    const outputs = Object.entries(graph.outputs).map(([name, { node }]) => [name, body.value(node)] as const);
    const stores = outputs.map(([name, value]) => `    ${address(name)} = ${value};`);
    return { tier, text: `${place}${body.lines.map(line => `    ${line}`).join('\n')}\n${stores.join('\n')}` };
  });
  const isIn = (list: number): string => `isIn${list}`;
  const chain = updates
    .map(({ tier, text }) => {
      const none = lists.map(list => `!${isIn(list)}`).join(' && ');
      const condition = tier === listed ? none || 'true' : isIn(tier);
      return `  if (${condition}) {\n${text}\n  }`;
    })
    .join(' else ');

  const size: readonly [number, number] = axis === 'element' ? [FLAT_THREADS, 1] : [WIDTH, HEIGHT];
  const perThread = axis === 'element' ? (lists.length <= FEW_LISTS ? 4 : 1) : PER_THREAD;
  const driver = { row: rowDriver, column: columnDriver, element: entryDriver }[axis];
  const body = driver({ writer, lists, listBuffers, counts, chain, perThread });
  const shader = writer.finish(size, body);
  const tile: readonly [number, number] =
    axis === 'element'
      ? [1, FLAT_THREADS * perThread]
      : axis === 'row'
        ? [HEIGHT, WIDTH * perThread]
        : [HEIGHT * perThread, WIDTH];
  return { shader: { ...shader, code: `${functions}\n${shader.code}` }, lists, slots, tile };
}

interface Driver {
  readonly writer: ShaderWriter;
  readonly lists: readonly number[];
  readonly listBuffers: ReadonlyMap<number, string>;
  readonly counts: ReadonlyMap<number, string>;
  readonly chain: string;
  readonly perThread: number;
}

/** Looks up whether an index is in each list, and where. */
function lookUp({ lists, listBuffers, counts }: Driver, index: string): string {
  return lists
    .map(
      list => `  let place${list} = search${list}(${index}, ${counts.get(list)!});
  let isIn${list} = place${list} < ${counts.get(list)!} && u32(${listBuffers.get(list)!}[place${list}]) == ${index};`,
    )
    .join('\n');
}

function rowDriver(driver: Driver): string {
  const { writer, chain, perThread } = driver;
  const columns = writer.dimension('columns');
  return `  let row = (group.y + ${writer.dimension('base y')}) * ${HEIGHT}u + local.y;
  if (row >= ${writer.dimension('rows')}) { return; }
${lookUp(driver, 'row')}
  let first = (group.x + ${writer.dimension('base x')}) * ${WIDTH * perThread}u + local.x;
  for (var i = 0u; i < ${perThread}u; i++) {
  let column = first + i * ${WIDTH}u;
  if (column >= ${columns}) { break; }
  let at = row * ${columns} + column;
${chain}
  }`;
}

function columnDriver(driver: Driver): string {
  const { writer, chain, perThread } = driver;
  const columns = writer.dimension('columns');
  return `  let column = (group.x + ${writer.dimension('base x')}) * ${WIDTH}u + local.x;
  if (column >= ${columns}) { return; }
${lookUp(driver, 'column')}
  let first = (group.y + ${writer.dimension('base y')}) * ${HEIGHT * perThread}u + local.y;
  for (var i = 0u; i < ${perThread}u; i++) {
  let row = first + i * ${HEIGHT}u;
  if (row >= ${writer.dimension('rows')}) { break; }
  let at = row * ${columns} + column;
${chain}
  }`;
}

/** A workgroup marks the entries of its stretch that a list names, then each thread finds its own marks. */
function entryDriver({ writer, lists, listBuffers, counts, chain, perThread }: Driver): string {
  const stretch = FLAT_THREADS * perThread;
  const size = writer.dimension('size');
  const marks = new Map(lists.map(list => [list, writer.workgroupMemory('u32', stretch)]));
  const clear = lists.map(list => `    ${marks.get(list)!}[local.x + i * ${FLAT_THREADS}u] = 0u;`).join('\n');
  const fill = lists
    .map(
      list => `  let last${list} = search${list}(min(start + ${stretch}u, ${size}), ${counts.get(list)!});
  for (var k = search${list}(start, ${counts.get(list)!}) + local.x; k < last${list}; k += ${FLAT_THREADS}u) {
    ${marks.get(list)!}[u32(${listBuffers.get(list)!}[k]) - start] = k + 1u;
  }`,
    )
    .join('\n');
  const find = lists
    .map(
      list => `  let mark${list} = ${marks.get(list)!}[within];
  let isIn${list} = mark${list} > 0u;
  let place${list} = mark${list} - 1u;`,
    )
    .join('\n');
  return `  let start = (group.x + ${writer.dimension('base x')}) * ${stretch}u;
  for (var i = 0u; i < ${perThread}u; i++) {
${clear}
  }
  workgroupBarrier();
${fill}
  workgroupBarrier();
  for (var i = 0u; i < ${perThread}u; i++) {
  let within = local.x + i * ${FLAT_THREADS}u;
  let at = start + within;
  if (at >= ${size}) { break; }
${find}
${chain}
  }`;
}
