import {
  type Basis,
  type FitContext,
  InvalidOptionError,
  InvalidStateError,
  type Projector,
  type Refresh,
  type Shape,
  type Site,
  sameShape,
  sizeOf,
} from '@frugaljs/core';
import { keep, type Tensor, tidy } from '@tensorflow/tfjs-core';
import { type Gate, gated } from '../finite-check.js';
import { joinPath, REFRESH_INDEX, type SavedState, type StateReader } from '../saved-state.js';
import type { Occupied } from './rules.js';
import type { PlannedTensor } from './slots.js';

/** A projector in JavaScript would read undefined where 0.1.0 had the index, and choose one subspace for ever. */
const RENAMED: object = {
  get epoch(): never {
    throw new InvalidOptionError({
      parameter: 'fit: context.epoch',
      found: 'the name that it had in version 0.1.0',
      expected: 'context.refreshIndex',
    });
  },
};

/** The bases that a projector chooses for one parameter, refresh by refresh. Those handed out belong to the caller. */
export class SubspaceBases {
  /** How the projector derives its bases: state that was saved with an earlier revision stays with that. */
  private revision: number;

  constructor(
    private readonly projector: Projector,
    private readonly cadence: Cadence,
    private site: Site,
  ) {
    this.revision = currentRevision(projector);
  }

  /** True when bases are fitted to gradients; else they follow from the seed. */
  get areFitted(): boolean {
    return this.projector.traits.basisFrom === 'gradient';
  }

  move(site: Site): void {
    this.site = site;
  }

  /** Shape of the gradient inside, or null when there is nothing inside. */
  reducedShape(refreshIndex: number): Shape | null {
    const reduced = this.projector.reducedShape(this.site, refreshIndex);
    return reduced === null || sizeOf(reduced) === 0 ? null : reduced;
  }

  /** True when the subspace is the whole space. */
  isComplete(reduced: Shape | null): boolean {
    const whole = reduced !== null && sizeOf(reduced) === sizeOf(this.site.shape);
    return whole && this.projector.traits.orthonormal;
  }

  /**
   * The basis of a refresh that has an inside.
   *
   * @param gradient Called when the basis is fitted to it.
   * @param previous The basis before, for projectors that start from it.
   * @param occupied Coordinates to keep clear of.
   */
  fit(
    gradient: (() => Tensor) | null,
    previous: Basis | null,
    refreshIndex: number,
    occupied: Occupied | undefined,
    gate: Gate | null = null,
  ): Basis {
    const { projector, site, revision } = this;
    const taken = occupied?.kind === projector.kind ? occupied.at(this.cadence.startOf(refreshIndex)) : undefined;
    const given = { site, refreshIndex, revision, ...(taken === undefined ? {} : { occupied: taken }) };
    const context: FitContext = Object.assign(Object.create(RENAMED), given);
    if (!this.areFitted) return keepBasis(tidy(() => ({ ...projector.fit(null, previous, context) })));
    const g = gradient!();
    if (gate === null) return keepBasis(tidy(() => ({ ...projector.fit(g, previous, context) })));
    // Of a gradient that is not finite no subspace can be made: the one before stays, and without one before it that of
    // zeros, which is at least orthonormal, until the host learns of it.
    return keepBasis(
      tidy(() => {
        const fitted = projector.fit(gated(gate, g, 0), previous, context);
        return previous === null ? { ...fitted } : gatedBasis(gate, fitted, previous);
      }),
    );
  }

  /** The coordinates that bases drawn from the seed cover, together with those that `above` does. */
  occupied(above: Occupied | undefined): Occupied {
    const { kind } = this.projector;
    return {
      kind,
      at: update => {
        const refreshIndex = this.cadence.refreshAt(update);
        if (this.reducedShape(refreshIndex) === null) return new Int32Array(0);
        const basis = this.fit(null, null, refreshIndex, above);
        const own = coordinatesOf(basis)!;
        disposeBasis(basis);
        return above?.kind === kind ? union(own, above.at(update)) : own;
      },
    };
  }

  /** The tensors of the basis of a refresh. */
  plan(refreshIndex: number): readonly PlannedTensor[] {
    return Object.entries(this.projector.basis(this.site, refreshIndex)).map(([name, { shape }]) => ({
      path: joinPath('basis', name),
      shape,
      role: 'basis',
    }));
  }

  /** Saves what does not follow from the seed. */
  save(path: string, into: SavedState, basis: Basis | null): void {
    if (this.revision !== 1) into.set(joinPath(path, 'revision'), this.revision);
    if (!this.areFitted) return;
    for (const [name, tensor] of Object.entries(basis ?? {})) into.set(joinPath(path, `basis/${name}`), tensor);
  }

  /** From now on bases are drawn as those of the saved state were. */
  restoreRevision(path: string, from: StateReader): void {
    this.revision = savedRevision(path, from, this.projector);
  }

  /** The saved basis of a refresh, or the one that follows from the seed again. */
  restore(path: string, from: StateReader, refreshIndex: number, occupied: Occupied | undefined): Basis {
    if (!this.areFitted) return this.fit(null, null, refreshIndex, occupied);
    const specs = Object.entries(this.projector.basis(this.site, refreshIndex));
    // Integers were saved as a list and become a tensor again, of which only the copy stays.
    return keepBasis(
      tidy(() =>
        Object.fromEntries(
          specs.map(([name, { shape, dtype }]) => [
            name,
            from.tensor(joinPath(path, `basis/${name}`), shape, dtype).clone(),
          ]),
        ),
      ),
    );
  }
}

/**
 * When a subspace changes: refresh ⌊(update + offset) / every⌋, or, where intervals grow, at the sums of `every`,
 * `every · growth`, `every · growth²` …, each rounded and at most `longest`. With `stagger` the parameters of a group take
 * turns, each ahead of the first one by its share of `every` updates.
 */
export class Cadence {
  private offset: number;
  /** Where intervals grow: the first update of every refresh so far. */
  private readonly starts: number[] = [0];

  constructor(
    private readonly refresh: Refresh,
    site: Site,
  ) {
    this.offset = this.offsetAt(site);
  }

  refreshAt(update: number): number {
    const { every, growth = 1 } = this.refresh;
    if (growth === 1) return Math.floor((update + this.offset) / every);
    let refreshIndex = 0;
    while (update >= this.startOf(refreshIndex + 1)) refreshIndex++;
    return refreshIndex;
  }

  /** Updates made before the first one of a refresh. */
  startOf(refreshIndex: number): number {
    const { every, growth = 1, longest = Number.POSITIVE_INFINITY } = this.refresh;
    if (refreshIndex === 0) return 0;
    if (growth === 1) return Math.max(0, refreshIndex * every - this.offset);
    const { starts } = this;
    while (starts.length <= refreshIndex) {
      // Of the exact product: rounded at each refresh, 2 times 1.1 would be 2 for ever.
      const interval = Math.round(every * growth ** (starts.length - 1));
      starts.push(starts.at(-1)! + Math.min(longest, interval));
    }
    return starts[refreshIndex]!;
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

/** Saves the tensors of a basis from the end of a `tidy`. */
function keepBasis(basis: Basis): Basis {
  for (const tensor of Object.values(basis)) keep(tensor);
  return basis;
}

export function disposeBasis(basis: Basis): void {
  for (const tensor of Object.values(basis)) tensor.dispose();
}

/** The coordinates of a basis that is given by them, ascending; null for one of vectors. */
export function coordinatesOf({ indices }: Basis): Int32Array | null {
  return indices?.dtype === 'int32' ? (indices.dataSync() as Int32Array) : null;
}

/** The fitted basis where the update happens, else the one before. */
function gatedBasis(gate: Gate, fitted: Basis, before: Basis): Basis {
  const isAlike = Object.entries(fitted).every(([name, { shape, dtype }]) => {
    return dtype === 'float32' && before[name] !== undefined && sameShape(before[name].shape, shape);
  });
  if (!isAlike) return { ...fitted };
  return Object.fromEntries(Object.entries(fitted).map(([name, next]) => [name, gated(gate, next, before[name]!)]));
}

/** The revision by which a projector chooses subspaces anew. */
function currentRevision({ revision = 1 }: Projector): number {
  return revision;
}

/**
 * The revision of the projector that chose a saved subspace; state from before there were several names none, and is of
 * the first. Where no subspace was saved, the current one.
 *
 * @throws InvalidStateError for a revision that this version of the projector does not know.
 */
function savedRevision(path: string, from: StateReader, projector: Projector): number {
  const current = currentRevision(projector);
  if (!from.has(joinPath(path, REFRESH_INDEX))) return current;
  const at = joinPath(path, 'revision');
  const saved = from.has(at) ? from.counter(at) : 1;
  if (saved >= 1 && saved <= current) return saved;
  throw new InvalidStateError({
    parameter: `${from.parameter}::${at}`,
    found: `a subspace chosen by revision ${saved} of ${projector.kind}`,
    expected: `a revision from 1 to ${current}`,
    advice: 'Load the state with the version of the library that saved it, or a later one.',
  });
}

/** The numbers in either of two ascending lists, ascending. */
export function union(a: Int32Array, b: Int32Array): Int32Array {
  const out = new Int32Array(a.length + b.length);
  let filled = 0;
  for (let i = 0, j = 0; i < a.length || j < b.length; filled++) {
    const next = Math.min(a[i] ?? Number.POSITIVE_INFINITY, b[j] ?? Number.POSITIVE_INFINITY);
    out[filled] = next;
    if (a[i] === next) i++;
    if (b[j] === next) j++;
  }
  return out.slice(0, filled);
}
