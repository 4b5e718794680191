import type { Graph, GraphNode, SplitAxis } from '@frugaljs/core';
import { GraphBody } from '../wgsl/graph-body.js';
import { FLOAT, type Shader, ShaderWriter, type Width } from '../wgsl/shader.js';
import { THREADS } from './passes.js';

/** `full` tensors have an entry per entry of the parameter, `compact` ones per entry of the tier, `shared` ones one. */
export type TensorKind = 'full' | 'compact' | 'shared';

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

/** A kernel and what it binds: first what is known of index lists, by tier, then tensors by slot. */
export interface SplitShader {
  readonly shader: Shader;
  /** What of each list is bound: its marks, or the list itself. */
  readonly lists: readonly { readonly tier: number; readonly as: 'marks' | 'list' }[];
  readonly slots: readonly number[];
  /** What there is a thread for: entries, or the number of a list's entries along the axis. */
  readonly over: 'all' | number;
  /** Entries side by side that a thread updates. */
  readonly width: Width;
}

/** Columns and rows of a workgroup. */
export const TILE: readonly [number, number] = [64, 4];

/** What an index list selects along an axis. */
const INDEX: Readonly<Record<SplitAxis, string>> = { row: 'row', column: 'column', element: 'at' };

/** Indices that one pair of numbers of the marks stands for. */
export const MARKED = 32;

/**
 * Turns an ascending index list into marks, with which a kernel finds in one step whether an index is in the list and
 * where: per 32 indices a bit for each, and how many come before.
 */
export const marksShader: Shader = (() => {
  const writer = new ShaderWriter();
  const list = writer.buffer('read', 'i32');
  const marks = writer.buffer('read_write', 'vec2<u32>');
  const count = writer.dimension('count');
  const body = `  let word = (group.x + ${writer.dimension('base')}) * ${THREADS}u + local.x;
  if (word >= ${writer.dimension('words')}) { return; }
  let start = word * ${MARKED}u;
  var low = 0u;
  var high = ${count};
  while (low < high) {
    let middle = (low + high) / 2u;
    if (u32(${list}[middle]) < start) { low = middle + 1u; } else { high = middle; }
  }
  var bits = 0u;
  for (var k = low; k < ${count}; k++) {
    let within = u32(${list}[k]) - start;
    if (within >= ${MARKED}u) { break; }
    bits |= 1u << within;
  }
  ${marks}[word] = vec2<u32>(bits, low);`;
  return writer.finish([THREADS, 1], body);
})();

/**
 * A kernel that updates some tiers of a parameter in place in one dispatch. Tiers share no entry, so that it does not
 * matter whether all of them run at once or one after the other.
 *
 * @param listed Number of tiers with index lists in the whole split.
 * @param tiers The tiers to update, ascending.
 * @param written Slots that some tier writes.
 * @param width More than 1 only by rows, where entries side by side have the same tier.
 */
export function togetherShader(
  axis: SplitAxis,
  listed: number,
  tiers: readonly TierShape[],
  written: ReadonlySet<number>,
  width: Width,
): SplitShader {
  const writer = new ShaderWriter();
  // The last tier has what is in no list, so it needs all of them.
  const hasRest = tiers.some(({ tier }) => tier === listed);
  const lists = hasRest ? Array.from({ length: listed }, (_, i) => i) : tiers.map(({ tier }) => tier);
  const marks = lists.map(() => writer.buffer('read', 'vec2<u32>'));
  const buffers = new TierBuffers(writer, tiers, written, width);
  const columns = writer.dimension('columns');
  const spot = (list: number): string => {
    if (axis === 'element') return `place${list}`;
    return axis === 'row'
      ? `place${list} * ${columns} + column`
      : `row * ${writer.dimension(`count ${list}`)} + place${list}`;
  };
  const updates = tiers.map(shape => {
    const { lines, results } = tierBody(writer, buffers, shape, width);
    const all = [
      ...(shape.tier === listed ? [] : [`let spot = ${spot(shape.tier)};`]),
      ...lines,
      ...results.map(([name, value]) => `${buffers.at(shape, name)} = ${value};`),
    ];
    const condition = shape.tier < listed ? `isIn${shape.tier}` : lists.map(list => `!isIn${list}`).join(' && ');
    return `  if (${condition || 'true'}) {\n${all.map(line => `    ${line}`).join('\n')}\n  }`;
  });
  const look = lists.map(
    (list, i) => `  let word${list} = ${marks[i]!}[index / ${MARKED}u];
  let isIn${list} = ((word${list}.x >> bit) & 1u) != 0u;
  let place${list} = word${list}.y + countOneBits(word${list}.x & ((1u << bit) - 1u));`,
  );
  const body = `${axis === 'element' ? flatPosition(writer) : matrixPosition(writer)}
  let index = ${INDEX[axis]};
  let bit = index % ${MARKED}u;
${look.join('\n')}
${updates.join(' else ')}`;
  return {
    shader: writer.finish(axis === 'element' ? [THREADS, 1] : TILE, body, width),
    lists: lists.map(tier => ({ tier, as: 'marks' })),
    slots: buffers.slots,
    over: 'all',
    width,
  };
}

/** A kernel that updates a tier with a list, with threads for its entries only. */
export function listedShader(
  axis: SplitAxis,
  shape: TierShape,
  written: ReadonlySet<number>,
  width: Width,
): SplitShader {
  const writer = new ShaderWriter();
  const list = writer.buffer('read', 'i32');
  const buffers = new TierBuffers(writer, [shape], written, width);
  const columns = writer.dimension('columns');
  const count = writer.dimension(`count ${shape.tier}`);
  const { lines, results } = tierBody(writer, buffers, shape, width);
  const place = {
    element: () => `  let spot = (group.x + ${writer.dimension('base')}) * ${THREADS}u + local.x;
  if (spot >= ${count}) { return; }
  let at = u32(${list}[spot]);`,
    row: () => `${tilePosition(writer, 'column', 'place')}
  if (place >= ${count} || column >= ${columns}) { return; }
  let spot = place * ${columns} + column;
  let at = u32(${list}[place]) * ${columns} + column;`,
    column: () => `${tilePosition(writer, 'place', 'row')}
  if (row >= ${writer.dimension('rows')} || place >= ${count}) { return; }
  let spot = row * ${count} + place;
  let at = row * ${columns} + u32(${list}[place]);`,
  }[axis]();
  const stores = results.map(([name, value]) => `${buffers.at(shape, name)} = ${value};`);
  const body = `${place}\n${[...lines, ...stores].map(line => `  ${line}`).join('\n')}`;
  return {
    shader: writer.finish(axis === 'element' ? [THREADS, 1] : TILE, body, width),
    lists: [{ tier: shape.tier, as: 'list' }],
    slots: buffers.slots,
    over: shape.tier,
    width,
  };
}

/**
 * A kernel that updates what is in no list, four entries per thread; those in a list are written back as they were. For
 * splits by column and by entry, whose last tier has no state.
 */
export function restShader(
  axis: 'column' | 'element',
  listed: number,
  shape: TierShape,
  written: ReadonlySet<number>,
): SplitShader {
  const width = 4;
  const writer = new ShaderWriter();
  const lists = Array.from({ length: listed }, (_, i) => i);
  const marks = lists.map(() => writer.buffer('read', 'vec2<u32>'));
  const buffers = new TierBuffers(writer, [shape], written, width);
  const { lines, results } = tierBody(writer, buffers, shape, width);
  const index = axis === 'element' ? 'at' : 'column';
  const bits = marks.map(name => `${name}[${index} / ${MARKED / width}u].x`).join(' | ');
  const stores = results.map(([name, value]) => {
    const target = buffers.at(shape, name);
    return `  ${target} = select(${target}, ${value}, isFree);`;
  });
  const body = `${axis === 'element' ? flatPosition(writer) : matrixPosition(writer)}
  let bits = (${bits}) >> (${index} % ${MARKED / width}u * ${width}u);
  let isFree = (vec4<u32>(bits) & vec4<u32>(1u, 2u, 4u, 8u)) == vec4<u32>(0u);
${lines.map(line => `  ${line}`).join('\n')}
${stores.join('\n')}`;
  return {
    shader: writer.finish(axis === 'element' ? [THREADS, 1] : TILE, body, width),
    lists: lists.map(tier => ({ tier, as: 'marks' })),
    slots: buffers.slots,
    over: 'all',
    width,
  };
}

function flatPosition(writer: ShaderWriter): string {
  return `  let at = (group.x + ${writer.dimension('base')}) * ${THREADS}u + local.x;
  if (at >= ${writer.dimension('size')}) { return; }`;
}

/** Row and column come from the grid: a division for each entry would take longer than most steps. */
function matrixPosition(writer: ShaderWriter): string {
  const [rows, columns] = [writer.dimension('rows'), writer.dimension('columns')];
  return `${tilePosition(writer, 'column', 'row')}
  if (row >= ${rows} || column >= ${columns}) { return; }
  let at = row * ${columns} + column;`;
}

function tilePosition(writer: ShaderWriter, x: string, y: string): string {
  return `  let ${x} = (group.x + ${writer.dimension('base')}) * ${TILE[0]}u + local.x;
  let ${y} = (group.y + ${writer.dimension('base y')}) * ${TILE[1]}u + local.y;`;
}

/** The tensors of some tiers, bound once each. */
class TierBuffers {
  /** In the order of their bindings. */
  readonly slots: number[] = [];
  private readonly accessors = new Map<number, string>();

  constructor(writer: ShaderWriter, tiers: readonly TierShape[], written: ReadonlySet<number>, width: Width) {
    for (const { slots, kinds } of tiers) {
      for (const [name, slot] of slots) {
        if (this.accessors.has(slot)) continue;
        const element = FLOAT[kinds.get(name) === 'shared' ? 1 : width];
        this.accessors.set(slot, writer.buffer(written.has(slot) ? 'read_write' : 'read', element));
        this.slots.push(slot);
      }
    }
  }

  /** A tensor of a tier at the entry `at` of the parameter, which is the entry `spot` of the tier. */
  at({ slots, kinds }: TierShape, name: string): string {
    const index = { full: 'at', compact: 'spot', shared: '0u' }[kinds.get(name)!];
    return `${this.accessors.get(slots.get(name)!)!}[${index}]`;
  }
}

/** The values of a tier's outputs and the statements that compute them. */
function tierBody(
  writer: ShaderWriter,
  buffers: TierBuffers,
  shape: TierShape,
  width: Width,
): { readonly lines: readonly string[]; readonly results: readonly (readonly [name: string, value: string])[] } {
  const { tier, graph } = shape;
  const sources = { input: ({ name }: { readonly name: string }) => buffers.at(shape, name), reduced: refuse };
  const body = new GraphBody(graph, writer, sources, { tier, prefix: `t${tier}v`, width });
  const results = Object.entries(graph.outputs).map(([name, { node }]) => [name, body.value(node, true)] as const);
  return { lines: body.lines, results };
}

function refuse(node: GraphNode): never {
  throw new Error(`a split has no reductions, found ${node.op}`);
}
