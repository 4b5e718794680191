import {
  type Basis,
  type BasisSpec,
  backendTraits,
  type EnergyEvent,
  type FitContext,
  InvalidOptionError,
  InvalidStateError,
  type Projector,
  type Refresh,
  type RefreshEvent,
  type Shape,
  type SimilarityEvent,
  type Site,
  type SubspaceRule,
  sameShape,
  sizeOf,
  UnsupportedBackendError,
} from '@frugaljs/core';
import { abs, div, keep, max, mul, slice, square, sum, type Tensor, type Tensor2D, tidy } from '@tensorflow/tfjs-core';
import { type Gate, gated } from '../finite-check.js';
import { bitsOf, joinPath, REFRESH_INDEX, type SavedState, type StateReader } from '../saved-state.js';
import type { Occupied } from './rules.js';
import type { PlannedTensor } from './slots.js';

/** Refreshes that are looked at for the most memory where blocks take turns. A random order may need more later. */
const TURNS = 32;

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

  /** The same with a basis that was fitted, on which the size may depend. */
  shapeWith(basis: Basis, largest: Shape): Shape {
    return this.projector.shapeWith?.(basis, this.site) ?? largest;
  }

  /** True when the size follows from the gradient. */
  get followGradient(): boolean {
    return this.projector.shapeWith !== undefined;
  }

  /** The refresh in which there is most to keep; that of the given number where blocks take turns or all are alike. */
  largestAt(refreshIndex: number): number {
    return this.projector.largestAt?.(this.site) ?? refreshIndex;
  }

  /** True when sizes differ by a schedule. */
  get varyInSize(): boolean {
    return this.projector.largestAt !== undefined;
  }

  /** The first refreshes where they differ in size and nothing says which is largest: blocks take turns. */
  turns(): readonly number[] {
    if (this.varyInSize || this.projector.traits.basisFrom === 'gradient') return [];
    const first = Array.from({ length: TURNS }, (_, i) => i);
    const sizes = new Set(first.map(i => String(this.reducedShape(i))));
    return sizes.size === 1 ? [] : first;
  }

  /** The share of ‖g‖² that the subspace captures; NaN for a gradient of zeros. */
  captured(g: Tensor, basis: Basis): number {
    return tidy(() => {
      // Squares of entries of at most 1, which neither vanish nor overflow.
      const unit = div(g, max(abs(g)));
      const energy = (x: Tensor): Tensor => sum(sum(square(x), -1));
      return div(energy(this.projector.down(unit, basis, this.site)), energy(unit)).dataSync()[0]!;
    });
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

  /** The tensors of the basis of a refresh; of one that is there, where that is given. */
  plan(refreshIndex: number, basis?: Basis): readonly PlannedTensor[] {
    const declared = basis ?? this.projector.basis(this.site, refreshIndex);
    return Object.entries(declared).map(([name, { shape }]) => ({
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
    const read = (at: string, { shape, dtype }: BasisSpec): Tensor =>
      this.followGradient ? from.tensorWithin(at, shape) : from.tensor(at, shape, dtype);
    // Integers were saved as a list and become a tensor again, of which only the copy stays.
    return keepBasis(
      tidy(() =>
        Object.fromEntries(specs.map(([name, spec]) => [name, read(joinPath(path, `basis/${name}`), spec).clone()])),
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
  protected offset: number;
  /** Where intervals grow: the first update of every refresh so far. */
  private readonly starts: number[] = [0];

  constructor(
    protected readonly refresh: Refresh,
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

  /**
   * The refresh to make in an update; null when what was looked at gives no reason for one.
   *
   * @param current The refresh that the subspace is of; null when there is none.
   * @param captured The share of the gradient's energy in it; null when nothing is in it.
   */
  dueAt(update: number, current: number | null, _captured: () => number | null): number | null {
    // Updates go back by those that the device skipped, refreshes do not.
    return Math.max(this.refreshAt(update), current ?? 0);
  }

  /** The next update with something to do, for the subspace of this refresh. */
  nextAfter(refreshIndex: number): number {
    return this.startOf(refreshIndex + 1);
  }

  /** What there is to learn from a refresh, before it is made. */
  compare(_before: Basis | null, _after: Basis, _captured: () => number): number | null {
    return null;
  }

  /** A refresh was made in an update. */
  made(_update: number, _refreshIndex: number, _seen: number | null): void {}

  /** Forgets what training has shown. */
  reset(): void {}

  /** @throws UnsupportedBackendError where training can show nothing. */
  requireReadable(): void {}

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

/** The cadence of a subspace at a site. */
export function cadenceOf({ projector, refresh }: SubspaceRule, site: Site): Cadence {
  const { when } = refresh;
  if (when === undefined) return new Cadence(refresh, site);
  const isOfIndices = Object.values(projector.basis(site)).some(({ dtype }) => dtype === 'int32');
  if (when.measure === 'similarity' && isOfIndices) {
    throw new InvalidOptionError({
      parameter: `subspace.refresh.when at "${site.name}"`,
      found: `the measure similarity with ${projector.kind}, whose basis is a list of indices`,
      expected: 'a projector with vectors to compare, such as svd',
      advice: 'Take the measure energy.',
    });
  }
  return new EventCadence(refresh, when, site);
}

/**
 * A cadence that training changes, each parameter by itself. Without an event it is the plain one. All that it looks at is
 * looked at in updates in which a refresh or a look is due, and with a gradient: steady updates read nothing.
 */
class EventCadence extends Cadence {
  /** The refresh that the subspace is of, and the update in which its interval began. */
  private index = 0;
  private start = 0;
  private interval = 0;
  /** The update from which to look whether the gradient has left. */
  private look = Number.POSITIVE_INFINITY;
  /** The share of the energy that was captured when the subspace was chosen; -1 while it is not known. */
  private share = UNKNOWN;
  /** The last similarities, the earliest first. */
  private similarities: readonly number[] = [];

  constructor(
    refresh: Refresh,
    private readonly when: RefreshEvent,
    private readonly site: Site,
  ) {
    super(refresh, site);
    this.reset();
  }

  override refreshAt(update: number): number {
    return this.index + Math.max(0, Math.floor((update - this.start) / this.interval));
  }

  override startOf(refreshIndex: number): number {
    return refreshIndex === this.index ? this.start : this.start + (refreshIndex - this.index) * this.interval;
  }

  override dueAt(update: number, current: number | null, captured: () => number | null): number | null {
    this.requireReadable();
    const refreshIndex = this.refreshAt(update);
    if (current === null || refreshIndex > current) return refreshIndex;
    const { when } = this;
    if (when.measure === 'energy' && this.hasLeft(when, captured())) return current + 1;
    this.look = update + checkOf(when);
    return null;
  }

  override nextAfter(refreshIndex: number): number {
    return Math.min(this.look, this.startOf(refreshIndex + 1));
  }

  override compare(before: Basis | null, after: Basis, captured: () => number): number | null {
    const { when } = this;
    if (when.measure === 'similarity') {
      // Of zeros the basis before remains, which says nothing of the gradient.
      return before === null || Number.isNaN(captured()) ? null : similarity(before, after);
    }
    return when.fallenTo === undefined ? null : captured();
  }

  override made(update: number, refreshIndex: number, seen: number | null): void {
    const { when } = this;
    // One that comes in time keeps to the plain cadence also where its gradient comes late.
    this.start = refreshIndex > this.refreshAt(update) ? update : this.startOf(refreshIndex);
    this.index = refreshIndex;
    if (when.measure === 'energy') {
      this.share = seen ?? UNKNOWN;
      this.look = update + (when.least ?? checkOf(when));
    } else if (seen !== null) {
      this.similarities = [...this.similarities, seen].slice(-lastOf(when));
      if (this.areAlike(when)) this.interval = Math.min(2 * this.interval, this.longest);
    }
  }

  override reset(): void {
    this.index = 0;
    this.start = -this.offset;
    this.interval = this.refresh.every;
    this.look = Number.POSITIVE_INFINITY;
    this.share = UNKNOWN;
    this.similarities = [];
  }

  override requireReadable(): void {
    if (backendTraits().readsAtOnce) return;
    throw new UnsupportedBackendError({
      parameter: `subspace.refresh.when at "${this.site.name}"`,
      found: 'a backend whose numbers cannot be read at once',
      expected: 'one on which the host knows before an update whether a refresh is due',
      advice: 'Leave `when` out, or train on another backend.',
    });
  }

  override move(site: Site): void {
    super.move(site);
    this.reset();
  }

  override save(path: string, into: SavedState): void {
    super.save(path, into);
    const { start, interval, look, share, similarities } = this;
    const unknown = Array.from({ length: this.remembered - similarities.length }, () => UNKNOWN);
    into.set(joinPath(path, EVENTS), bitsOf([start, interval, look, share, ...similarities, ...unknown]));
  }

  override restore(path: string, from: StateReader): void {
    super.restore(path, from);
    const at = joinPath(path, EVENTS);
    const [start, interval, look, share, ...similarities] = from.numbers(at, 4 + this.remembered) as [
      start: number,
      interval: number,
      look: number,
      share: number,
      ...similarities: number[],
    ];
    if (!(Number.isInteger(start) && interval >= 1 && look >= 0)) {
      throw new InvalidStateError({
        parameter: `${from.parameter}::${at}`,
        found: `an interval of ${interval} from update ${start} on, with a look at ${look}`,
        expected: 'what a run leaves behind',
        advice: 'The saved state is damaged: load an earlier one.',
      });
    }
    this.index = from.counter(joinPath(path, REFRESH_INDEX));
    this.start = start;
    this.interval = interval;
    this.look = look;
    this.share = share;
    this.similarities = similarities.filter(each => each !== UNKNOWN);
  }

  private get longest(): number {
    return this.refresh.longest ?? Number.POSITIVE_INFINITY;
  }

  /** How many similarities are kept. */
  private get remembered(): number {
    return this.when.measure === 'similarity' ? lastOf(this.when) : 0;
  }

  private areAlike(when: SimilarityEvent): boolean {
    const { similarities } = this;
    const mean = similarities.reduce((sum, each) => sum + each, 0) / similarities.length;
    return similarities.length === lastOf(when) && mean >= (when.atLeast ?? 0.4);
  }

  /** A share that is not a number, as of a gradient of zeros, says nothing. */
  private hasLeft({ below, fallenTo }: EnergyEvent, captured: number | null): boolean {
    if (captured === null || Number.isNaN(captured)) return false;
    if (below !== undefined && captured < below) return true;
    if (fallenTo === undefined) return false;
    if (this.share === UNKNOWN || Number.isNaN(this.share)) this.share = captured;
    return captured < fallenTo * this.share;
  }
}

/** Path of what training has shown, as the bits of float64 numbers. */
const EVENTS = 'events';
const UNKNOWN = -1;

/** @see SIMILARITY_OPTIONS and ENERGY_OPTIONS for the defaults, which `subspace` has filled in. */
function lastOf({ last = 5 }: SimilarityEvent): number {
  return last;
}

function checkOf(when: RefreshEvent): number {
  return when.measure === 'energy' ? (when.check ?? 10) : Number.POSITIVE_INFINITY;
}

/**
 * |cos| of the first vectors of two bases, the smaller one where there are factors on both sides; null where there are
 * none, as where all is covered.
 */
function similarity(before: Basis, after: Basis): number | null {
  const found = Object.entries(after).flatMap(([name, factor]) => {
    const other = before[name];
    if (other === undefined || other.shape[0] !== factor.shape[0]) return [];
    return tidy(() => {
      const first = (x: Tensor): Tensor => slice(x as Tensor2D, [0, 0], [-1, 1]);
      const [a, b] = [first(other), first(factor)];
      const [ab, aa, bb] = [mul(a, b), square(a), square(b)].map(x => sum(x).dataSync()[0]!) as [
        number,
        number,
        number,
      ];
      return [Math.abs(ab) / Math.sqrt(aa * bb)];
    });
  });
  return found.length === 0 ? null : Math.min(...found);
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
