import {
  InvalidOptionError,
  type Projector,
  randomKey,
  randomPermutation,
  requireInteger,
  requireKnownKeys,
  requireOneOf,
  roundHalfToEven,
  type Site,
  type SiteMember,
} from '@frugaljs/core';
import { clone } from '@tensorflow/tfjs-core';
import { type DensityOptions, requireDensity } from './requirements.js';

/** In which order blocks become state-full. */
export type BlockOrder = 'random' | 'shuffled' | 'ascending' | 'descending' | 'mirror';

const BLOCK_ORDERS: readonly BlockOrder[] = ['random', 'shuffled', 'ascending', 'descending', 'mirror'];

export interface BlockwiseOptions extends DensityOptions {
  /**
   * Which blocks come when. Default `random`.
   *
   * - `random`: a fresh random choice in every refresh, without memory of the ones before.
   * - `shuffled`: random passes; in ⌈N/c⌉ refreshes every block is active exactly once (BAdam's "random").
   * - `ascending`, `descending`: c blocks at a time in the order of the group, or in reverse, around and around.
   * - `mirror`: c/2 blocks from each end towards the middle; c must be even. With an odd N the middle block is never
   *   active.
   */
  readonly order?: BlockOrder;
  /** What a block is: every parameter (`matrix`, FRUGAL) or the parameters of a layer (`layer`, BAdam). Default `matrix`. */
  readonly unit?: 'matrix' | 'layer';
  /**
   * For unit `layer`: a regular expression (or its source, without flags); parameters whose names give the same captures
   * are one block. Default: names that agree up to the number of their layer, as in "model.layers.3.mlp.up_proj" and
   * "block_3/kernel". A parameter that does not match is a block of its own.
   */
  readonly layerPattern?: string | RegExp;
  /**
   * Number of blocks by which the order is ahead of its start. A split nested in the residual of another with the same
   * order and `skip` equal to that one's active blocks takes the blocks after them. Default 0.
   */
  readonly skip?: number;
}

/**
 * Whole parameters: of the N blocks of the group, c = round(ρ N) (ties to even) are in the subspace in a refresh, the
 * others not at all. With ρ > 0 at least one is (two for `mirror`), else nothing would ever take its turn in a model of
 * one or two layers. For an active parameter down and up are the identity; for another `reducedShape` is null.
 *
 * Which blocks are active in refresh i is a pure function of the seed, i, N and c; nothing is stored. Blocks are counted
 * in the order of the group.
 *
 * Memory: the state of the active parameters alone. It is the same in every refresh when the blocks are equal or the order
 * walks over whole layers; with `random` and unequal matrices it varies around ρ.
 *
 * @throws InvalidOptionError for an unknown option, a density outside [0, 1], a pattern that does not compile, and from
 *   `check` for order `mirror` with an odd c.
 *
 * Source: FRUGAL (arXiv 2411.07837), block-wise projection; BAdam (arXiv 2404.02827) for layers as blocks.
 */
export function blockwise(options: BlockwiseOptions = {}): Projector<never> {
  requireKnownKeys('blockwise', options, ['density', 'order', 'unit', 'layerPattern', 'skip']);
  const density = requireDensity('blockwise', options);
  const order = requireOneOf('blockwise.order', options.order ?? 'random', BLOCK_ORDERS);
  const unit = requireOneOf('blockwise.unit', options.unit ?? 'matrix', ['matrix', 'layer']);
  const skip = requireInteger('blockwise.skip', options.skip ?? 0, 0);
  const pattern =
    options.layerPattern === undefined ? null : requirePattern('blockwise.layerPattern', options.layerPattern);
  const group = new GroupSchedule(density, order, skip, members =>
    unit === 'matrix' ? matrixBlocks(members) : layerBlocks(members, pattern),
  );
  return {
    kind: 'blockwise',
    options: { density, order, unit, ...(pattern === null ? {} : { layerPattern: pattern.source }), skip },
    traits: { orthonormal: true, coordinate: true, basisFrom: 'seed' },
    check: site => void group.isActive(site, 0),
    reducedShape: (site, refreshIndex) => (group.isActive(site, refreshIndex) ? site.shape : null),
    leavesOut: site => group.leavesOut(site),
    basis: () => ({}),
    fit: () => ({}),
    down: g => clone(g),
    up: x => clone(x),
  };
}

/** Remembers the blocks of a group and its latest refresh, which every parameter of the group asks for in turn. */
class GroupSchedule {
  private readonly partitions = new WeakMap<readonly SiteMember[], BlockPartition>();
  private readonly latest = new WeakMap<
    readonly SiteMember[],
    { refreshIndex: number; seed: number; flags: Uint8Array }
  >();

  constructor(
    private readonly density: number,
    private readonly order: BlockOrder,
    private readonly skip: number,
    private readonly partition: (members: readonly SiteMember[]) => BlockPartition,
  ) {}

  /** Why the turn of a parameter never comes. */
  leavesOut({ members, index }: Site): string | null {
    const { count, of } = this.blocksOf(members);
    const isMiddle = count % 2 === 1 && of[index] === (count - 1) / 2;
    return this.order === 'mirror' && isMiddle
      ? `it is in the middle one of ${count} blocks, which is never active in order mirror`
      : null;
  }

  isActive({ members, index, seed }: Site, refreshIndex: number): boolean {
    const blocks = this.blocksOf(members);
    let held = this.latest.get(members);
    if (held === undefined || held.refreshIndex !== refreshIndex || held.seed !== seed) {
      const { order, skip } = this;
      const { count } = blocks;
      const schedule: BlockSchedule = { order, count, active: activeCount(this.density, order, count), skip, seed };
      held = { refreshIndex, seed, flags: activeBlocks(schedule, refreshIndex) };
      this.latest.set(members, held);
    }
    return held.flags[blocks.of[index]!] === 1;
  }

  private blocksOf(members: readonly SiteMember[]): BlockPartition {
    let blocks = this.partitions.get(members);
    if (blocks === undefined) {
      blocks = this.partition(members);
      this.partitions.set(members, blocks);
    }
    return blocks;
  }
}

/** Number of blocks that are active at a time. */
function activeCount(density: number, order: BlockOrder, count: number): number {
  const rounded = roundHalfToEven(density * count);
  if (rounded > 0 || density === 0) return rounded;
  return Math.min(order === 'mirror' ? 2 : 1, count);
}

/** The blocks that the parameters of a group form: `of[i]` is the number of the block of member i. */
interface BlockPartition {
  readonly count: number;
  readonly of: Int32Array;
}

/** Every member is a block of its own. */
function matrixBlocks(members: readonly SiteMember[]): BlockPartition {
  return { count: members.length, of: Int32Array.from(members.keys()) };
}

/**
 * Members of the same layer form one block, numbered by the first appearance of the layer. With a pattern, members
 * belong together when what its groups capture (or, without groups, the whole match) is the same; without one, when
 * their names agree up to and including the number of the layer. A member that does not match is a block of its own.
 */
function layerBlocks(members: readonly SiteMember[], pattern: RegExp | null): BlockPartition {
  const numbers = new Map<string, number>();
  let count = 0;
  const of = Int32Array.from(members, ({ name }) => {
    const layer = layerOf(name, pattern);
    if (layer === null) return count++;
    let number = numbers.get(layer);
    if (number === undefined) {
      number = count++;
      numbers.set(layer, number);
    }
    return number;
  });
  return { count, of };
}

// A name up to and including the number of its layer: "model.layers.3", "transformer.h.3", "block_3", and failing that
// the first number that stands on its own or ends a word, such as in "dense_3/kernel".
const LAYER = /^((?:.*?[._/])?(?:[a-z_]*(?:layer|block)s?|h)[._/]?\d+)(?=[._/]|$)/i;
const NUMBERED = /^(.*?[._/]?\d+)(?=[._/]|$)/;

function layerOf(name: string, pattern: RegExp | null): string | null {
  if (pattern === null) return (LAYER.exec(name) ?? NUMBERED.exec(name))?.[1] ?? null;
  const match = pattern.exec(name);
  if (match === null) return null;
  return match.length === 1 ? match[0] : match.slice(1).join('\u0000');
}

/**
 * The regular expression of a `layerPattern`, given as one or as its source.
 *
 * @throws InvalidOptionError for a source that does not compile, or for flags, which the JSON options could not carry.
 */
function requirePattern(parameter: string, pattern: string | RegExp): RegExp {
  if (pattern instanceof RegExp && pattern.flags !== '') {
    throw new InvalidOptionError({
      parameter,
      found: pattern,
      expected: 'a regular expression without flags',
      advice: 'Write both cases out, such as [Ll]ayer.',
    });
  }
  try {
    return new RegExp(pattern);
  } catch {
    throw new InvalidOptionError({ parameter, found: pattern, expected: 'the source of a regular expression' });
  }
}

/** What decides which blocks are active. */
interface BlockSchedule {
  readonly order: BlockOrder;
  /** Number of blocks, N. */
  readonly count: number;
  /** Blocks active at a time, c ≤ N. */
  readonly active: number;
  /** Blocks by which the schedule is ahead of its start. */
  readonly skip: number;
  readonly seed: number;
}

/**
 * The active blocks of a refresh, as one flag per block: a pure function of the schedule and the refresh. The running
 * pointer of the reference implementation moves by c (mirror: c/2) in every refresh, so its position is a product.
 *
 * @throws InvalidOptionError for order `mirror` with an odd number of active blocks.
 */
function activeBlocks(schedule: BlockSchedule, refreshIndex: number): Uint8Array {
  const { order, count, active, skip, seed } = schedule;
  const flags = new Uint8Array(count);
  if (order === 'mirror') requireEven(schedule);
  if (active === 0) return flags;
  switch (order) {
    case 'random': {
      const permutation = randomPermutation(randomKey(seed, refreshIndex, 'blockwise'), count);
      for (let i = 0; i < active; i++) flags[permutation[(skip + i) % count]!] = 1;
      return flags;
    }
    case 'shuffled': {
      // A pass visits every block once, in ⌈N/c⌉ refreshes of which the last may be short.
      const refreshes = Math.ceil(count / active);
      const first = (refreshIndex % refreshes) * active;
      const permutation = randomPermutation(
        randomKey(seed, Math.floor(refreshIndex / refreshes), 'blockwise pass'),
        count,
      );
      const end = Math.min(first + active, count);
      for (let i = first; i < end; i++) flags[permutation[(skip + i) % count]!] = 1;
      return flags;
    }
    case 'ascending': {
      const pointer = skip + refreshIndex * active;
      for (let i = 0; i < active; i++) flags[(pointer + i) % count] = 1;
      return flags;
    }
    case 'descending': {
      const pointer = skip + refreshIndex * active;
      for (let i = 0; i < active; i++) flags[count - 1 - ((pointer + i) % count)] = 1;
      return flags;
    }
    case 'mirror': {
      const half = Math.floor(count / 2);
      const pointer = (skip + refreshIndex * active) / 2;
      for (let i = 0; i < active / 2; i++) {
        const block = (pointer + i) % half;
        flags[block] = 1;
        flags[count - 1 - block] = 1;
      }
      return flags;
    }
  }
}

function requireEven({ count, active, skip }: BlockSchedule): void {
  if (active % 2 === 0 && skip % 2 === 0) return;
  const even = active % 2 === 0 ? active : active + 1 <= count ? active + 1 : active - 1;
  throw new InvalidOptionError({
    parameter: active % 2 === 0 ? 'blockwise.skip' : 'blockwise.density',
    found: active % 2 === 0 ? skip : `${active} active of ${count} blocks`,
    expected: 'an even number of blocks for order mirror, which takes them in pairs from both ends',
    advice:
      active % 2 === 0
        ? 'Skip an even number of blocks.'
        : `Choose another order, or a density such as ${even}/${count} that makes round(density · blocks) even.`,
  });
}
