import { InvalidOptionError, randomKey, randomPermutation } from '@frugaljs/core';

/** In which order blocks become state-full. */
export type BlockOrder = 'random' | 'shuffled' | 'ascending' | 'descending' | 'mirror';

export const BLOCK_ORDERS: readonly BlockOrder[] = ['random', 'shuffled', 'ascending', 'descending', 'mirror'];

/** What decides which blocks are active. */
export interface BlockSchedule {
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
export function activeBlocks(schedule: BlockSchedule, refreshIndex: number): Uint8Array {
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
