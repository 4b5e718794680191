import type { Refresh, Site } from '@frugaljs/core';
import { joinPath, type SavedState, type StateReader } from './saved-state.js';

/**
 * When a subspace changes: refresh ⌊(update + offset) / every⌋. With `stagger` the parameters of a group take turns, each
 * ahead of the first one by its share of `every` updates.
 */
export class Cadence {
  private offset: number;

  constructor(
    private readonly refresh: Refresh,
    site: Site,
  ) {
    this.offset = this.offsetAt(site);
  }

  refreshAt(update: number): number {
    return Math.floor((update + this.offset) / this.refresh.every);
  }

  /** Updates made before the first one of a refresh. */
  startOf(refreshIndex: number): number {
    return refreshIndex === 0 ? 0 : Math.max(0, refreshIndex * this.refresh.every - this.offset);
  }

  /** Begins anew at another place in the group. */
  move(site: Site): void {
    this.offset = this.offsetAt(site);
  }

  save(path: string, into: SavedState): void {
    if (this.refresh.stagger) into.set(joinPath(path, 'offset'), this.offset);
  }

  restore(path: string, from: StateReader): void {
    if (this.refresh.stagger) this.offset = from.counter(joinPath(path, 'offset'));
  }

  private offsetAt({ index, members }: Site): number {
    const { every, stagger = false } = this.refresh;
    return stagger && Number.isFinite(every) ? Math.floor((index * every) / members.length) : 0;
  }
}
