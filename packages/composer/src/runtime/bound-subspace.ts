import { type Basis, childSite, type Rule, type Shape, type Site, type SubspaceRule, sameShape } from '@frugaljs/core';
import type { Tensor } from '@tensorflow/tfjs-core';
import { coordinatesOf } from './basis-tensors.js';
import { BoundCombine } from './bound-combine.js';
import type { BoundRule, Occupied, RestoreContext, StepContext } from './bound-rule.js';
import { Cadence } from './cadence.js';
import { carryState } from './carry-state.js';
import { CoordinateAges } from './coordinate-ages.js';
import type { PendingVerdict } from './gate.js';
import type { PlannedTensor } from './planned-tensor.js';
import { readsBackAtOnce } from './readback.js';
import { readsParameter } from './reads-parameter.js';
import { residualOf } from './residual.js';
import { joinPath, type SavedState, type StateReader } from './saved-state.js';
import { SubspaceBases } from './subspace-bases.js';
import { type Inside, SubspaceChoice } from './subspace-choice.js';

type Bind = (rule: Rule, site: Site) => BoundRule;

/** A subspace rule at work: its basis, the rule inside, and the rule on the residual. */
export class BoundSubspace implements BoundRule {
  private chosen: SubspaceChoice | null = null;
  private choicesMade = 0;
  /** The judged update to whose gradient the subspace was fitted, and whether there was none before. */
  private fitted: { readonly ordinal: number; readonly isFirst: boolean } | null = null;
  /** That update was left out, so the subspace is not what it was meant to be. */
  private isDoubtful = false;
  readonly residual: BoundRule | null;
  readonly combine: BoundCombine;
  private readonly cadence: Cadence;
  private readonly bases: SubspaceBases;
  /** The residual is split by a projector that should keep clear of this one's coordinates. */
  private readonly sharesCoordinates: boolean;

  constructor(
    readonly rule: SubspaceRule,
    private site: Site,
    private readonly bind: Bind,
  ) {
    rule.projector.check?.(site);
    this.cadence = new Cadence(rule.refresh, site);
    this.bases = new SubspaceBases(rule.projector, this.cadence, site);
    const { combine } = rule;
    this.residual = combine.rule === null ? null : bind(combine.rule, childSite(site, 'residual', site.shape));
    this.combine = new BoundCombine(combine, site.shape);
    this.sharesCoordinates =
      combine.rule?.type === 'subspace' &&
      combine.rule.projector.kind === rule.projector.kind &&
      rule.projector.traits.coordinate &&
      rule.projector.traits.basisFrom !== 'gradient' &&
      'indices' in rule.projector.basis(site);
    const reduced = this.bases.reducedShape(this.cadence.refreshAt(0));
    if (reduced !== null) bind(rule.rule, childSite(site, 'rule', reduced)).dispose();
  }

  step(g: Tensor, context: StepContext): Tensor | null {
    const { projector } = this.rule;
    this.refreshIfDue(() => g, context);
    const { inside } = this.choice;
    const splits = this.splitsResidual();

    const inputs: Record<string, Tensor | number> = { g, lifted: 0, residual: 0, residualDirection: 0 };
    let projected: Tensor | null = null;
    if (inside !== null) {
      const { basis, rule } = inside;
      const low = projector.down(g, basis, this.site);
      const direction = rule.step(low, this.innerContext(context, basis));
      if (direction !== null) inputs['lifted'] = projector.up(direction, basis, this.site);
      if (splits) projected = projector.up(low, basis, this.site);
    }
    if (splits) {
      const residual = projected === null ? g : residualOf(this.rule, g, projected);
      const nested = { ...context, occupied: this.occupiedForResidual(context.occupied) };
      inputs['residual'] = residual;
      inputs['residualDirection'] = this.residual?.step(residual, nested) ?? 0;
    }
    return this.combine.step(inputs, context.verdict);
  }

  prepare(gradient: () => Tensor, context: StepContext): void {
    this.refreshIfDue(gradient, context);
    const { residual } = this;
    const isFitted = residual instanceof BoundSubspace && residual.bases.areFitted;
    if (residual === null || isFitted || this.choice.isComplete) return;
    residual.prepare(gradient, { ...context, occupied: this.occupiedForResidual(context.occupied) });
  }

  get shape(): Shape {
    return this.site.shape;
  }

  /** Counts the choices of a subspace; what is planned for one choice does not serve another. */
  get choices(): number {
    return this.choicesMade;
  }

  /** What the subspace has of the parameter at this step; known once the step is prepared. */
  get choice(): SubspaceChoice {
    return this.chosen!;
  }

  /** True when coordinates inside have taken different numbers of steps; also asked while there is no subspace yet. */
  hasAges(): boolean {
    return this.chosen?.innerExpression()?.slots.hasAges() ?? false;
  }

  /** True when there is a residual in this refresh and the combine reads it. */
  splitsResidual(): boolean {
    return this.combine.readsResidual && !this.choice.isComplete;
  }

  /** The site as the projector sees it. */
  get where(): Site {
    return this.site;
  }

  plan(update: number): readonly PlannedTensor[] {
    const reduced = this.bases.reducedShape(this.cadence.refreshAt(update));
    const within = (step: string, rule: BoundRule): readonly PlannedTensor[] =>
      rule.plan(update).map(tensor => ({ ...tensor, path: joinPath(step, tensor.path) }));
    const planned: PlannedTensor[] = [];
    if (reduced !== null) {
      planned.push(...this.bases.plan());
      planned.push(...within('rule', this.bind(this.rule.rule, childSite(this.site, 'rule', reduced))));
    }
    if (this.residual !== null && !this.bases.isComplete(reduced)) planned.push(...within('residual', this.residual));
    return [...planned, ...this.combine.plan()];
  }

  move(site: Site): void {
    this.site = site;
    this.bases.move(site);
    // A cadence that has begun goes on when the group grows.
    if (this.chosen === null) this.cadence.move(site);
    this.residual?.move(childSite(site, 'residual', site.shape));
  }

  release(update: number): void {
    const refreshIndex = this.cadence.refreshAt(update);
    if (
      this.chosen !== null &&
      this.chosen.refreshIndex < refreshIndex &&
      this.bases.reducedShape(refreshIndex) === null
    ) {
      this.choose(this.choiceOf(refreshIndex, null));
    }
    this.residual?.release(update);
  }

  withhold(ordinal: number): void {
    if (this.fitted?.ordinal === ordinal) this.isDoubtful = true;
    this.chosen?.inside?.rule.withhold(ordinal);
    this.residual?.withhold(ordinal);
    this.combine.withhold(ordinal);
  }

  /** A subspace within a moving subspace has no meaning in the new coordinates and starts again. */
  transport(): void {
    this.reset();
  }

  reset(): void {
    this.choose(null);
    this.fitted = null;
    this.isDoubtful = false;
    this.residual?.reset();
    this.combine.reset();
  }

  save(path: string, into: SavedState): void {
    this.combine.save(path, into);
    this.residual?.save(joinPath(path, 'residual'), into);
    if (this.chosen === null) return;
    const { inside } = this.chosen;
    // Loaded, a doubtful subspace is one whose refresh is due.
    const refreshIndex = this.isDoubtful ? this.chosen.refreshIndex - 1 : this.chosen.refreshIndex;
    if (refreshIndex < 0) return;
    into.set(joinPath(path, 'epoch'), refreshIndex);
    this.cadence.save(path, into);
    this.bases.save(path, into, inside?.basis ?? null);
    inside?.rule.save(joinPath(path, 'rule'), into);
  }

  restore(path: string, from: StateReader, context: RestoreContext): void {
    this.reset();
    this.combine.restore(path, from);
    this.bases.restoreRevision(path, from);
    const occupied = this.occupiedForResidual(context.occupied);
    this.residual?.restore(joinPath(path, 'residual'), from, { occupied });
    if (!from.has(joinPath(path, 'epoch'))) return;
    const refreshIndex = from.counter(joinPath(path, 'epoch'));
    this.cadence.restore(path, from);
    const reduced = this.bases.reducedShape(refreshIndex);
    if (reduced === null) {
      this.choose(this.choiceOf(refreshIndex, null));
      return;
    }
    const basis = this.bases.restore(path, from, refreshIndex, context.occupied);
    const rule = this.bind(this.rule.rule, childSite(this.site, 'rule', reduced));
    this.choose(this.choiceOf(refreshIndex, this.insideOf(basis, rule, reduced)));
    const indices = coordinatesOf(basis);
    const axis = indices === null ? 'element' : CoordinateAges.axisOf(this.site.shape, reduced, indices.length);
    rule.restore(joinPath(path, 'rule'), from, { coordinates: { axis, count: indices?.length ?? 0 } });
  }

  dispose(): void {
    this.choose(null);
    this.residual?.dispose();
    this.combine.reset();
  }

  /** Inside, the parameter is seen through the projector like the gradient. */
  private innerContext({ update, parameter, verdict }: StepContext, basis: Basis): StepContext {
    const context = verdict === undefined ? { update } : { update, verdict };
    if (parameter === undefined || !readsParameter(this.rule.rule)) return context;
    return { ...context, parameter: this.rule.projector.down(parameter, basis, this.site) };
  }

  private refreshIfDue(gradient: () => Tensor, { update, occupied, verdict }: StepContext): void {
    // Updates go back by those that the device left out, refreshes do not.
    const refreshIndex = Math.max(this.cadence.refreshAt(update), this.chosen?.refreshIndex ?? 0);
    if (this.chosen?.refreshIndex === refreshIndex && !this.isDoubtful) return;
    this.refresh(gradient, refreshIndex, occupied, verdict);
    this.isDoubtful = false;
  }

  private refresh(
    gradient: () => Tensor,
    refreshIndex: number,
    occupied: Occupied | undefined,
    verdict: PendingVerdict | undefined,
  ): void {
    const before = this.chosen?.inside ?? null;
    const reduced = this.bases.reducedShape(refreshIndex);
    if (reduced === null) {
      this.choose(this.choiceOf(refreshIndex, null));
      return;
    }
    const previous = this.isDoubtful && this.fitted?.isFirst ? null : (before?.basis ?? null);
    const basis = this.bases.fit(gradient, previous, refreshIndex, occupied, verdict);
    const isJudged = this.bases.areFitted && verdict !== undefined;
    this.fitted = isJudged ? { ordinal: verdict.ordinal, isFirst: previous === null } : null;
    const isSameSize = before !== null && sameShape(before.reduced, reduced);
    const rule = isSameSize ? before.rule : this.bind(this.rule.rule, childSite(this.site, 'rule', reduced));
    const inside = this.insideOf(basis, rule, reduced);
    if (isSameSize) this.moveState(before, inside);
    this.choose(this.choiceOf(refreshIndex, inside));
  }

  /** What becomes of the state inside when the subspace moves. */
  private moveState(before: Inside, after: Inside): void {
    const { onRefresh, projector } = this.rule;
    if (onRefresh === 'reset') after.rule.reset();
    if (onRefresh === 'transport') carryState(projector, this.site, before, after);
  }

  /** The coordinates are on the host only until the device has got them. */
  private indicesToRemember(basis: Basis): Int32Array | null {
    return this.rule.onRefresh === 'transport' && !readsBackAtOnce() ? coordinatesOf(basis) : null;
  }

  /** What a split of the residual should keep clear of: the coordinates covered here and further up. */
  private occupiedForResidual(above: Occupied | undefined): Occupied | undefined {
    return this.sharesCoordinates ? this.bases.occupied(above) : undefined;
  }

  private insideOf(basis: Basis, rule: BoundRule, reduced: Shape): Inside {
    const isComplete = this.bases.isComplete(reduced);
    return { basis, rule, reduced, isComplete, indices: this.indicesToRemember(basis) };
  }

  private choiceOf(refreshIndex: number, inside: Inside | null): SubspaceChoice {
    return new SubspaceChoice(refreshIndex, inside, this.rule.projector.traits.coordinate, this.site.shape);
  }

  /** Replaces the chosen subspace and frees what the old one does not share with the new. */
  private choose(next: SubspaceChoice | null): void {
    this.chosen?.dispose(next);
    this.chosen = next;
    this.choicesMade += 1;
  }
}
