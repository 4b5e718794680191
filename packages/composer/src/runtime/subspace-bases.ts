import { type Basis, type Projector, type Shape, type Site, sizeOf } from '@frugaljs/core';
import { type Tensor, tidy } from '@tensorflow/tfjs-core';
import { coordinatesOf, disposeBasis, gatedBasis, keepBasis } from './basis-tensors.js';
import type { Occupied } from './bound-rule.js';
import type { Cadence } from './cadence.js';
import { gated, type PendingVerdict } from './gate.js';
import type { PlannedTensor } from './planned-tensor.js';
import { currentRevision, savedRevision } from './revision.js';
import { joinPath, type SavedState, type StateReader } from './saved-state.js';
import { union } from './union.js';

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
    verdict?: PendingVerdict,
  ): Basis {
    const { projector, site, revision } = this;
    const taken = occupied?.kind === projector.kind ? occupied.at(this.cadence.startOf(refreshIndex)) : undefined;
    const context = { site, refreshIndex, revision, ...(taken === undefined ? {} : { occupied: taken }) };
    if (!this.areFitted) return keepBasis(tidy(() => ({ ...projector.fit(null, previous, context) })));
    const g = gradient!();
    if (verdict === undefined) return keepBasis(tidy(() => ({ ...projector.fit(g, previous, context) })));
    // Of a gradient that is not finite no subspace can be made: the one before stays, and without one before it that of
    // zeros, which is at least orthonormal, until the host learns of it.
    return keepBasis(
      tidy(() => {
        const fitted = projector.fit(gated(verdict.proceed, g, 0), previous, context);
        return previous === null ? { ...fitted } : gatedBasis(verdict.proceed, fitted, previous);
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

  plan(): readonly PlannedTensor[] {
    return Object.entries(this.projector.basis(this.site)).map(([name, { shape }]) => ({
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
    const specs = Object.entries(this.projector.basis(this.site));
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
