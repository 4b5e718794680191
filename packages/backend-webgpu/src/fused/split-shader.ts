import type { Graph, GraphNode } from '@frugaljs/core';
import { GraphBody } from '../wgsl/graph-body.js';
import { type Shader, ShaderWriter } from '../wgsl/shader.js';
import { THREADS } from './passes.js';

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

/** A kernel and what it binds: first the marks of index lists by tier, then tensors by slot. */
export interface SplitShader {
  readonly shader: Shader;
  readonly lists: readonly number[];
  readonly slots: readonly number[];
}

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

/** What an index list selects along an axis. */
const INDEX: Readonly<Record<SplitAxis, string>> = { row: 'row', column: 'column', element: 'at' };

/**
 * A kernel that updates the entries of some tiers of a parameter in place, one per thread. Tiers share no entry, so that
 * it does not matter whether all of them run at once or one after the other.
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
  const marks = lists.map(() => writer.buffer('read', 'vec2<u32>'));
  const slots: number[] = [];
  const accessors = new Map<number, string>();
  for (const { slots: own } of tiers) {
    for (const slot of own.values()) {
      if (accessors.has(slot)) continue;
      accessors.set(slot, writer.buffer(written.has(slot) ? 'read_write' : 'read'));
      slots.push(slot);
    }
  }
  const columns = writer.dimension('columns');
  const spot = (list: number): string => {
    if (axis === 'element') return `place${list}`;
    return axis === 'row'
      ? `place${list} * ${columns} + column`
      : `row * ${writer.dimension(`count ${list}`)} + place${list}`;
  };
  const updates = tiers.map(({ tier, graph, kinds, slots: own }) => {
    const address = (name: string): string =>
      `${accessors.get(own.get(name)!)!}[${{ full: 'at', compact: 'spot', shared: '0u' }[kinds.get(name)!]}]`;
    const sources = { input: ({ name }: { readonly name: string }) => address(name), reduced: refuse };
    const body = new GraphBody(graph, writer, sources, tier, `t${tier}v`);
    const results = Object.entries(graph.outputs).map(([name, { node }]) => [name, body.value(node)] as const);
    const lines = [
      ...(tier === listed ? [] : [`let spot = ${spot(tier)};`]),
      ...body.lines,
      ...results.map(([name, value]) => `${address(name)} = ${value};`),
    ];
    const condition = tier < listed ? `isIn${tier}` : lists.map(list => `!isIn${list}`).join(' && ') || 'true';
    return `  if (${condition}) {\n${lines.map(line => `    ${line}`).join('\n')}\n  }`;
  });
  const look = lists.map(
    (list, i) => `  let word${list} = ${marks[i]!}[index / ${MARKED}u];
  let isIn${list} = ((word${list}.x >> bit) & 1u) != 0u;
  let place${list} = word${list}.y + countOneBits(word${list}.x & ((1u << bit) - 1u));`,
  );
  const body = `  let at = (group.x + ${writer.dimension('base')}) * ${THREADS}u + local.x;
  if (at >= ${writer.dimension('size')}) { return; }
  let row = at / ${columns};
  let column = at - row * ${columns};
  let index = ${INDEX[axis]};
  let bit = index % ${MARKED}u;
${look.join('\n')}
${updates.join(' else ')}`;
  return { shader: writer.finish([THREADS, 1], body), lists, slots };
}

function refuse(node: GraphNode): never {
  throw new Error(`a split has no reductions, found ${node.op}`);
}
