import {
  type Projector,
  requireInteger,
  requireKnownKeys,
  requireOneOf,
  roundHalfToEven,
  type Site,
  type SiteMember,
} from '@frugaljs/core';
import { clone } from '@tensorflow/tfjs-core';
import { type BlockPartition, layerBlocks, matrixBlocks, requirePattern } from './block-partition.js';
import { activeBlocks, BLOCK_ORDERS, type BlockOrder, type BlockSchedule } from './block-schedule.js';
import { type DensityOptions, requireDensity } from './size-options.js';

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
 * others not at all. For an active parameter down and up are the identity; for another `reducedShape` is null.
 *
 * Which blocks are active in refresh e is a pure function of the seed, e, N and c; nothing is stored. Blocks are counted
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

  isActive({ members, index, seed }: Site, refreshIndex: number): boolean {
    let blocks = this.partitions.get(members);
    if (blocks === undefined) {
      blocks = this.partition(members);
      this.partitions.set(members, blocks);
    }
    let held = this.latest.get(members);
    if (held === undefined || held.refreshIndex !== refreshIndex || held.seed !== seed) {
      const { order, skip } = this;
      const { count } = blocks;
      const schedule: BlockSchedule = { order, count, active: roundHalfToEven(this.density * count), skip, seed };
      held = { refreshIndex, seed, flags: activeBlocks(schedule, refreshIndex) };
      this.latest.set(members, held);
    }
    return held.flags[blocks.of[index]!] === 1;
  }
}
