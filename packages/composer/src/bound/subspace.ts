import {
  type Basis,
  backendTraits,
  childSite,
  combineSite,
  type Graph,
  InvalidStateError,
  interpret,
  type Projector,
  type Rule,
  type Shape,
  type Site,
  type SplitAxis,
  type SubspaceRule,
  sameShape,
  select,
  Tracer,
  UnsupportedShapeError,
  type Value,
} from '@frugaljs/core';
import type { Tensor } from '@tensorflow/tfjs-core';
import { requireTraining } from '../empty-subspace.js';
import { joinPath, MEMBERS, REFRESH_INDEX, type SavedState, type StateReader } from '../saved-state.js';
import { type Cadence, cadenceOf, coordinatesOf, disposeBasis, SubspaceBases } from './bases.js';
import { BoundCombine, keptBy } from './combine.js';
import {
  BoundExpression,
  type BoundRule,
  BoundTensorRule,
  type Occupied,
  type RestoreContext,
  type StepContext,
} from './rules.js';
import { type Carry, CoordinateAges, type CoordinateMove, type PlannedTensor } from './slots.js';

/**
 * Puts a rule to work at a site. Checks that it can work there; allocates nothing.
 *
 * @throws UnsupportedShapeError naming the parameter.
 */
export function bind(rule: Rule, site: Site): BoundRule {
  try {
    return bound(rule, site);
  } catch (error) {
    throw error instanceof UnsupportedShapeError ? error.at(site.name) : error;
  }
}

function bound(rule: Rule, site: Site): BoundRule {
  switch (rule.type) {
    case 'expression':
      return new BoundExpression(rule, site);
    case 'tensor':
      return new BoundTensorRule(rule, site);
    case 'subspace':
      return new BoundSubspace(rule, site, bind);
  }
}

/** What a subspace needs to know to be chosen. */
type ChoiceContext = Pick<StepContext, 'update' | 'occupied' | 'gate'>;

type Bind = (rule: Rule, site: Site) => BoundRule;

/** A subspace rule at work: its basis, the rule inside, and the rule on the residual. */
export class BoundSubspace implements BoundRule {
  /** What the subspace has of the parameter; null before the first step. A refresh makes another one. */
  chosen: SubspaceChoice | null = null;
  /** The update at which the next refresh is due. */
  private until = 0;
  /** The fit of the subspace to the gradient of an update that the device may have skipped. */
  private fit: { readonly isFirst: boolean } | null = null;
  /** That update was skipped, so the subspace is not what it was meant to be. */
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
    // Within another subspace, or on its residual, this one may be empty.
    if (site.path === '') requireTraining(rule, site);
    this.cadence = cadenceOf(rule, site);
    this.bases = new SubspaceBases(rule.projector, this.cadence, site);
    const { combine } = rule;
    this.residual = combine.rule === null ? null : bind(combine.rule, childSite(site, 'residual', site.shape));
    const reduced = this.bases.reducedShape(this.cadence.refreshAt(0));
    const kept = keptBy(rule.projector, site, reduced ?? site.shape);
    this.combine = new BoundCombine(combine, combineSite(site.shape, kept));
    this.sharesCoordinates =
      combine.rule?.type === 'subspace' &&
      combine.rule.projector.kind === rule.projector.kind &&
      rule.projector.traits.coordinate &&
      rule.projector.traits.basisFrom !== 'gradient' &&
      'indices' in rule.projector.basis(site);
    if (reduced !== null) bind(rule.rule, childSite(site, 'rule', reduced)).dispose();
  }

  step(gradient: Tensor, context: StepContext): Tensor | null {
    const { projector } = this.rule;
    const g = this.combine.fed(gradient);
    if (context.update >= this.until || this.isDoubtful) this.refresh(() => g, context);
    const { inside } = this.choice;
    const { combine } = this;
    const splits = this.splitsResidual();

    const inputs: Record<string, Tensor | number> = { g, lifted: 0, residual: 0, residualDirection: 0 };
    let projected: Tensor | null = null;
    let measures: Readonly<Record<string, Tensor | number>> = combine.measuresOfNothing;
    let isAtRest = true;
    if (inside !== null) {
      const { basis, rule } = inside;
      const low = projector.down(g, basis, this.site);
      const direction = rule.step(low, this.innerContext(context, basis));
      isAtRest = direction === null;
      if (direction !== null && combine.readsLifted) inputs['lifted'] = projector.up(direction, basis, this.site);
      if (splits && combine.share !== 0) projected = projector.up(low, basis, this.site);
      measures = combine.measure(low, direction ?? 0);
    }
    if (splits) {
      const residual = projected === null ? g : residualOf(this.rule, g, projected);
      const nested = { ...context, occupied: this.occupiedForResidual(context.occupied) };
      inputs['residual'] = residual;
      const direction = this.residual?.step(residual, nested) ?? null;
      if (direction !== null) inputs['residualDirection'] = direction;
      isAtRest &&= direction === null;
    }
    return combine.step({ ...inputs, ...measures }, isAtRest, context);
  }

  /**
   * Chooses the subspaces that the coming step needs, without taking it. A nested one that is fitted to a gradient, which
   * only the step knows, is left to the step.
   *
   * @param gradient Gives the gradient as the step will see it, when a subspace is fitted to it.
   */
  prepare(gradient: () => Tensor, context: ChoiceContext): void {
    if (context.update >= this.until || this.isDoubtful) this.refresh(() => this.combine.fed(gradient()), context);
    const { residual } = this;
    if (!(residual instanceof BoundSubspace) || residual.bases.areFitted || this.choice.isComplete) return;
    residual.prepare(() => this.combine.fed(gradient()), {
      ...context,
      occupied: this.occupiedForResidual(context.occupied),
    });
  }

  get shape(): Shape {
    return this.site.shape;
  }

  /** What the subspace has of the parameter at this step; known once the step is prepared. */
  get choice(): SubspaceChoice {
    return this.chosen!;
  }

  /** True when there is a residual in this refresh and the combine reads it. */
  splitsResidual(): boolean {
    return this.combine.readsResidual && !(this.choice.isComplete && this.combine.share === 1);
  }

  /** The site as the projector sees it. */
  get where(): Site {
    return this.site;
  }

  plan(update: number, atMost = false, since = 0): readonly PlannedTensor[] {
    const { bases, chosen } = this;
    const due = this.cadence.refreshAt(update);
    const refreshIndex = atMost ? bases.largestAt(due) : due;
    // What is there tells more than what may be.
    const inside = !atMost && bases.followGradient && chosen?.refreshIndex === due ? chosen.inside : null;
    const reduced = inside?.reduced ?? bases.reducedShape(refreshIndex);
    const within = (step: string, rule: BoundRule, begun: number): readonly PlannedTensor[] =>
      rule.plan(update, atMost, begun).map(tensor => ({ ...tensor, path: joinPath(step, tensor.path) }));
    // A subspace inside begins anew where this one moves; see `transport`.
    const begun = this.rule.onRefresh === 'keep' ? since : Math.max(since, this.cadence.startOf(due));
    const planned: PlannedTensor[] = [];
    if (reduced !== null) {
      planned.push(...bases.plan(refreshIndex, inside?.basis));
      planned.push(...within('rule', this.bind(this.rule.rule, childSite(this.site, 'rule', reduced)), begun));
    }
    const first = atMost ? 0 : this.cadence.refreshAt(since);
    const hasResidual = this.hasHadResidual(due, first) || (atMost && this.combine.readsResidual && bases.varyInSize);
    if (this.residual !== null && hasResidual) planned.push(...within('residual', this.residual, since));
    return [...planned, ...this.combine.plan()];
  }

  /** The updates of the first refreshes where these differ in size because blocks take turns. */
  turns(): readonly number[] {
    const own = this.bases.turns().map(refreshIndex => this.cadence.startOf(refreshIndex));
    const nested = this.residual instanceof BoundSubspace ? this.residual.turns() : [];
    return [...own.filter(Number.isFinite), ...nested];
  }

  /** The residual is stepped on in a refresh, or was in one from `first` on: its state stays while there is none. */
  private hasHadResidual(refreshIndex: number, first: number): boolean {
    const { readsResidual, share } = this.combine;
    if (!readsResidual || share !== 1 || this.bases.followGradient) return readsResidual;
    for (let i = refreshIndex; i >= first; i--) if (!this.bases.isComplete(this.bases.reducedShape(i))) return true;
    return false;
  }

  move(site: Site): void {
    this.site = site;
    this.bases.move(site);
    // A cadence that has begun goes on when the group grows.
    if (this.chosen === null) this.cadence.move(site);
    this.residual?.move(childSite(site, 'residual', site.shape));
    const inside = this.chosen?.inside ?? null;
    inside?.rule.move(childSite(site, 'rule', inside.reduced));
  }

  /** Gives up, without a gradient at hand, state for which there is no use in this update. */
  release(update: number): void {
    if (this.chosen !== null && update >= this.until) {
      const refreshIndex = this.cadence.refreshAt(update);
      if (this.bases.reducedShape(refreshIndex) === null) {
        this.cadence.made(update, refreshIndex, null);
        this.choose(this.choiceOf(refreshIndex, null));
      }
    }
    if (this.residual instanceof BoundSubspace) this.residual.release(update);
  }

  average(parameter: Tensor): Tensor | null {
    return this.combine.average(parameter);
  }

  /** A subspace within a moving subspace has no meaning in the new coordinates and starts again. */
  transport(): void {
    this.reset();
  }

  reset(): void {
    this.choose(null);
    this.cadence.reset();
    this.fit = null;
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
    into.set(joinPath(path, REFRESH_INDEX), refreshIndex);
    const { among } = this.chosen;
    if (among !== this.site.members.length) into.set(joinPath(path, MEMBERS), among);
    this.cadence.save(path, into);
    this.bases.save(path, into, inside?.basis ?? null);
    inside?.rule.save(joinPath(path, 'rule'), into);
  }

  restore(path: string, from: StateReader, context: RestoreContext): void {
    this.reset();
    this.combine.restore(path, from);
    this.bases.restoreRevision(path, from);
    const isChosen = from.has(joinPath(path, REFRESH_INDEX));
    // What the residual keeps clear of depends on the cadence.
    if (isChosen) this.cadence.restore(path, from);
    const occupied = this.occupiedForResidual(context.occupied);
    this.residual?.restore(joinPath(path, 'residual'), from, { occupied });
    if (!isChosen) return;
    const refreshIndex = from.counter(joinPath(path, REFRESH_INDEX));
    const { bases, site } = this;
    const among = this.savedMembers(path, from);
    // The subspace is that of the group as it was: who joined since counts from the next refresh on.
    bases.move({ ...site, members: site.members.slice(0, among) });
    const largest = bases.reducedShape(refreshIndex);
    const basis = largest === null ? null : bases.restore(path, from, refreshIndex, context.occupied);
    bases.move(site);
    if (largest === null || basis === null) {
      this.choose(this.choiceOf(refreshIndex, null, among));
      return;
    }
    const reduced = bases.shapeWith(basis, largest);
    const rule = this.bind(this.rule.rule, childSite(site, 'rule', reduced));
    this.choose(this.choiceOf(refreshIndex, this.insideOf(basis, rule, reduced), among));
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
  private innerContext({ update, rate, parameter, gate }: StepContext, basis: Basis): StepContext {
    if (parameter === undefined || !readsParameter(this.rule.rule)) return { update, rate, gate };
    return { update, rate, gate, parameter: this.rule.projector.down(parameter, basis, this.site) };
  }

  private refresh(gradient: () => Tensor, { update, occupied, gate }: ChoiceContext): void {
    const { bases, cadence, chosen, residual } = this;
    // Before anything is written.
    if (residual instanceof BoundSubspace) residual.cadence.requireReadable();
    const before = chosen?.inside ?? null;
    const captured = (basis: Basis): number => bases.captured(gradient(), basis);
    const refreshIndex = cadence.dueAt(update, chosen?.refreshIndex ?? null, () => before && captured(before.basis));
    if (refreshIndex === null) {
      this.until = cadence.nextAfter(chosen!.refreshIndex);
      return;
    }
    const largest = bases.reducedShape(refreshIndex);
    if (largest === null) {
      cadence.made(update, refreshIndex, null);
      this.choose(this.choiceOf(refreshIndex, null));
      this.isDoubtful = false;
      return;
    }
    const previous = this.isDoubtful && this.fit?.isFirst ? null : (before?.basis ?? null);
    const basis = bases.fit(gradient, previous, refreshIndex, occupied, gate);
    this.isDoubtful = false;
    this.fit = null;
    if (bases.areFitted && gate !== null) {
      const fit = { isFirst: previous === null };
      this.fit = fit;
      gate.ifSkipped(() => {
        this.isDoubtful ||= this.fit === fit;
      });
    }
    const reduced = bases.shapeWith(basis, largest);
    const isSameSize = before !== null && sameShape(before.reduced, reduced);
    const rule = isSameSize ? before.rule : this.bind(this.rule.rule, childSite(this.site, 'rule', reduced));
    const inside = this.insideOf(basis, rule, reduced);
    try {
      const seen = cadence.compare(before?.basis ?? null, basis, () => captured(basis));
      if (isSameSize) this.moveState(before, inside);
      cadence.made(update, refreshIndex, seen);
    } catch (error) {
      // The subspace before stays, with the state as it was.
      disposeBasis(basis);
      throw error;
    }
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
    return this.rule.onRefresh === 'transport' && !backendTraits().readsAtOnce ? coordinatesOf(basis) : null;
  }

  /** What a split of the residual should keep clear of: the coordinates covered here and further up. */
  private occupiedForResidual(above: Occupied | undefined): Occupied | undefined {
    return this.sharesCoordinates ? this.bases.occupied(above) : undefined;
  }

  private insideOf(basis: Basis, rule: BoundRule, reduced: Shape): Inside {
    const isComplete = this.bases.isComplete(reduced);
    return { basis, rule, reduced, isComplete, indices: this.indicesToRemember(basis) };
  }

  /** How many members the group had when a saved subspace was chosen: by default, as many as now. */
  private savedMembers(path: string, from: StateReader): number {
    const { members, index } = this.site;
    const at = joinPath(path, MEMBERS);
    const saved = from.has(at) ? from.counter(at) : members.length;
    if (saved > index && saved <= members.length) return saved;
    throw new InvalidStateError({
      parameter: `${from.parameter}::${at}`,
      found: `a subspace chosen among ${saved} members of a group`,
      expected: `${index + 1} to ${members.length}, as the parameter is number ${index + 1} of ${members.length}`,
      advice: 'Load all of the state that was saved, into an optimizer with the same groups.',
    });
  }

  private choiceOf(refreshIndex: number, inside: Inside | null, among = this.site.members.length): SubspaceChoice {
    return new SubspaceChoice(refreshIndex, inside, among, this.rule.projector.traits.coordinate, this.site.shape);
  }

  /** Replaces the chosen subspace and frees what the old one does not share with the new. */
  private choose(next: SubspaceChoice | null): void {
    this.chosen?.dispose(next);
    this.chosen = next;
    this.until = next === null ? 0 : this.cadence.nextAfter(next.refreshIndex);
  }
}

/** The inside of a subspace. */
interface Inside {
  readonly basis: Basis;
  readonly rule: BoundRule;
  /** Shape of the gradient inside. */
  readonly reduced: Shape;
  /** The subspace is the whole space, so that the residual is exactly zero. */
  readonly isComplete: boolean;
  /** The coordinates, where they will be needed and cannot be read back. */
  readonly indices: Int32Array | null;
}

/**
 * True when what a rule keeps of a parameter follows from what training shows, so that only the rule at work knows it: by an
 * event, or by a rank that is fitted.
 */
export function followsTraining(rule: Rule): boolean {
  if (rule.type !== 'subspace') return false;
  const { projector, refresh, combine } = rule;
  if (projector.shapeWith !== undefined || refresh.when !== undefined) return true;
  return followsTraining(rule.rule) || (combine.rule !== null && followsTraining(combine.rule));
}

/** What a subspace has of a parameter from one refresh to the next. */
export class SubspaceChoice {
  /** True when there is no residual. */
  readonly isComplete: boolean;
  /** None of the parameter, all, some of its coordinates, or (for all else) linear combinations. */
  readonly membership: 'inactive' | 'complete' | 'split' | 'dense';
  /** The rule inside, when it is an expression. */
  readonly inner: BoundExpression | null;
  /** The int32 indices of a split, and the axis along which it selects. */
  readonly split: { readonly indices: Tensor; readonly axis: SplitAxis } | null = null;
  private onHost: Int32Array | null = null;

  /**
   * @param inside Null while nothing of the parameter is in the subspace.
   * @param among How many members the group had then: those who join later change nothing until the next refresh.
   * @param isOfCoordinates It is spanned by coordinates.
   * @param full Shape of the parameter.
   */
  constructor(
    readonly refreshIndex: number,
    readonly inside: Inside | null,
    readonly among: number,
    isOfCoordinates: boolean,
    full: Shape,
  ) {
    this.isComplete = inside?.isComplete ?? false;
    this.inner = inside?.rule instanceof BoundExpression ? inside.rule : null;
    const indices = inside?.basis['indices'];
    if (inside === null) this.membership = 'inactive';
    else if (!isOfCoordinates) this.membership = 'dense';
    else if (inside.isComplete) this.membership = 'complete';
    else this.membership = indices?.dtype === 'int32' ? 'split' : 'dense';
    if (inside === null || indices === undefined || this.membership !== 'split') return;
    this.split = { indices, axis: CoordinateAges.axisOf(full, inside.reduced, indices.size) };
  }

  /** The tensors that describe the subspace; it must have an inside. */
  get basis(): Basis {
    return this.inside!.basis;
  }

  /** The coordinates of a split on the host. Ask at the step that chose them: later they may be on the device alone. */
  coordinatesOnHost(): Int32Array {
    this.onHost ??= this.inside!.indices ?? coordinatesOf(this.basis)!;
    return this.onHost;
  }

  /** Frees what the next choice does not share. */
  dispose(next: SubspaceChoice | null): void {
    if (this.inside === null) return;
    const { basis, rule } = this.inside;
    if (basis !== next?.inside?.basis) disposeBasis(basis);
    if (rule !== next?.inside?.rule) rule.dispose();
  }
}

/**
 * Carries the state of the rule inside a subspace to the next one, of the same size: by the projector's own transport,
 * else by lifting it up and projecting it down again.
 */
function carryState(projector: Projector, site: Site, before: Inside, after: Inside): void {
  const [from, to] = [before.basis, after.basis];
  const carry: Carry = (x, degree) =>
    projector.transport?.(x, from, to, site, degree) ?? projector.down(projector.up(x, from, site), to, site);
  after.rule.transport(carry, projector.traits.coordinate ? moveBetween(site.shape, before, after) : null);
}

function moveBetween(full: Shape, before: Inside, after: Inside): CoordinateMove | null {
  const from = before.indices ?? coordinatesOf(before.basis);
  const to = after.indices ?? coordinatesOf(after.basis);
  if (from === null || to === null) return null;
  return { axis: CoordinateAges.axisOf(full, after.reduced, to.length), from, to };
}

/** R = G - share · ΠG, for a projector whose residual is exact. */
const EXACT_RESIDUAL: Graph = (() => {
  const tracer = new Tracer();
  return tracer.graph({ residual: rest(tracer) }, { residual: 'element' });
})();

/** R = G - share · ΠG with entries |R_ij| ≤ tolerance · ‖G‖_∞ set to 0. NaN stays NaN. */
const TOLERANT_RESIDUAL: Graph = (() => {
  const tracer = new Tracer();
  const g = tracer.input('g', 'element');
  const residual = rest(tracer);
  const noise = residual.abs().lessEqual(g.abs().max().mul(tracer.scalar('tolerance')));
  return tracer.graph({ residual: select(noise, 0, residual) }, { residual: 'element' });
})();

function rest(tracer: Tracer): Value {
  return tracer.input('g', 'element').sub(tracer.input('projected', 'element').mul(tracer.scalar('share')));
}

/** True when what a projector leaves over is free of rounding noise, or the combine does not mind it. */
export function isExactResidual({ projector, combine }: SubspaceRule): boolean {
  return projector.traits.coordinate || combine.tolerance === 0;
}

/** What the subspace misses of a gradient. */
function residualOf(rule: SubspaceRule, g: Tensor, projected: Tensor): Tensor {
  const graph = isExactResidual(rule) ? EXACT_RESIDUAL : TOLERANT_RESIDUAL;
  const { tolerance, share = 1 } = rule.combine;
  return interpret(graph, { g, projected }, { tolerance, share }, g.shape)['residual']!;
}

/** True when a rule, or one within it, reads the parameter beside the gradient. */
function readsParameter(rule: Rule | null): boolean {
  if (rule === null) return false;
  if (rule.type !== 'subspace') return rule.reads?.includes('parameter') ?? false;
  const { combine } = rule;
  return combine.reads?.includes('parameter') || readsParameter(rule.rule) || readsParameter(combine.rule);
}
