import {
  type Basis,
  childSite,
  type Graph,
  inputNames,
  interpret,
  type Rule,
  type Shape,
  type Site,
  type SubspaceRule,
  sameShape,
  sizeOf,
  traceCombine,
} from '@frugaljs/core';
import { keep, type Tensor, tidy } from '@tensorflow/tfjs-core';
import { BoundExpression } from './bound-expression.js';
import type { BoundRule, Occupied, RestoreContext, StepContext } from './bound-rule.js';
import { CoordinateAges } from './coordinate-ages.js';
import { gated, type PendingVerdict } from './gate.js';
import type { PlannedTensor } from './planned-tensor.js';
import { readsBackAtOnce } from './readback.js';
import { EXACT_RESIDUAL, TOLERANT_RESIDUAL } from './residual-graph.js';
import { currentRevision, savedRevision } from './revision.js';
import { joinPath, type SavedState, type StateReader } from './saved-state.js';
import { type Carry, type CoordinateMove, SlotState } from './slot-state.js';
import { union } from './union.js';

type Bind = (rule: Rule, site: Site) => BoundRule;

/** The part of a subspace that changes when it moves. `inner` is null while nothing of the parameter is in it. */
interface Chosen {
  readonly epoch: number;
  readonly basis: Basis | null;
  readonly inner: BoundRule | null;
  /** Shape of the gradient inside. */
  readonly reduced: Shape | null;
  /** True when the subspace is the whole space, so that the residual is exactly zero. */
  readonly complete: boolean;
  /** The coordinates, where they will be needed and cannot be read back. */
  readonly indices?: Int32Array | null;
}

/** A subspace rule at work: its basis, the rule inside, and the rule on the residual. */
export class BoundSubspace implements BoundRule {
  private chosen: Chosen | null = null;
  private offset: number;
  /** How the projector derives its bases: state that was saved with an earlier revision stays with that. */
  private revision: number;
  private choicesMade = 0;
  /** The judged update to whose gradient the subspace was fitted, and whether there was none before. */
  private fitted: { readonly ordinal: number; readonly isFirst: boolean } | null = null;
  /** That update was left out, so the subspace is not what it was meant to be. */
  private isDoubtful = false;
  readonly residual: BoundRule | null;
  private readonly combineSlots: SlotState;
  readonly combineGraph: Graph;
  /** The combine reads the residual or a direction found on it. */
  readonly readsResidual: boolean;
  /** The combine has no state and reads nothing but the two directions: without them its result is zero. */
  private readonly onlyMixes: boolean;
  readonly combineHasState: boolean;
  /** The residual is split by a projector that should keep clear of this one's coordinates. */
  private readonly sharesCoordinates: boolean;

  constructor(
    readonly rule: SubspaceRule,
    private site: Site,
    private readonly bind: Bind,
  ) {
    rule.projector.check?.(site);
    this.offset = this.offsetOf(site);
    this.revision = currentRevision(rule.projector);
    const { combine } = rule;
    this.residual = combine.rule === null ? null : bind(combine.rule, childSite(site, 'residual', site.shape));
    this.combineSlots = new SlotState(combine.state(site.shape), site.shape);
    this.combineGraph = traceCombine(combine, site.shape);
    const reads = inputNames(this.combineGraph);
    this.readsResidual = reads.includes('residual') || reads.includes('residualDirection');
    this.combineHasState = Object.keys(this.combineSlots.specs).length > 0;
    this.onlyMixes = !reads.includes('g') && !reads.includes('residual') && !this.combineHasState;
    this.sharesCoordinates =
      combine.rule?.type === 'subspace' &&
      combine.rule.projector.kind === rule.projector.kind &&
      rule.projector.traits.coordinate &&
      rule.projector.traits.basisFrom !== 'gradient' &&
      'indices' in rule.projector.basis(site);
    const reduced = this.reducedShape(this.epochAt(0));
    if (reduced !== null) bind(rule.rule, childSite(site, 'rule', reduced)).dispose();
  }

  step(g: Tensor, context: StepContext): Tensor | null {
    const { projector } = this.rule;
    this.refreshIfDue(() => g, context);
    const { basis, inner } = this.chosen!;
    const splits = this.splitsResidual();

    const inputs: Record<string, Tensor | number> = { g, lifted: 0, residual: 0, residualDirection: 0 };
    let projected: Tensor | null = null;
    if (inner !== null) {
      const low = projector.down(g, basis!, this.site);
      const direction = inner.step(low, this.innerContext(context, basis!));
      if (direction !== null) inputs['lifted'] = projector.up(direction, basis!, this.site);
      if (splits) projected = projector.up(low, basis!, this.site);
    }
    if (splits) {
      const residual = projected === null ? g : this.residualOf(g, projected);
      const nested = { ...context, occupied: this.occupiedForResidual(context.occupied) };
      inputs['residual'] = residual;
      inputs['residualDirection'] = this.residual?.step(residual, nested) ?? 0;
    }
    if (inputs['lifted'] === 0 && inputs['residualDirection'] === 0 && this.onlyMixes) return null;
    this.combineSlots.addTo(inputs);
    const outputs = interpret(this.combineGraph, inputs, {}, this.site.shape);
    this.combineSlots.commit(outputs, context.verdict);
    return outputs['direction']!;
  }

  prepare(gradient: () => Tensor, context: StepContext): void {
    this.refreshIfDue(gradient, context);
    const { residual } = this;
    const isFitted = residual instanceof BoundSubspace && residual.rule.projector.traits.basisFrom === 'gradient';
    if (residual === null || isFitted || this.chosen!.complete) return;
    residual.prepare(gradient, { ...context, occupied: this.occupiedForResidual(context.occupied) });
  }

  get shape(): Shape {
    return this.site.shape;
  }

  /** Counts the choices of a subspace; what is planned for one choice does not serve another. */
  get choices(): number {
    return this.choicesMade;
  }

  /**
   * What the subspace has of the parameter in this epoch: none, all, some of its coordinates, or (for all else) linear
   * combinations.
   */
  membership(): 'inactive' | 'complete' | 'split' | 'dense' {
    const { inner, basis, complete } = this.chosen!;
    if (inner === null) return 'inactive';
    if (!this.rule.projector.traits.coordinate) return 'dense';
    if (complete) return 'complete';
    return basis?.['indices']?.dtype === 'int32' ? 'split' : 'dense';
  }

  /** The rule inside, when it is an expression. */
  innerExpression(): BoundExpression | null {
    const inner = this.chosen?.inner;
    return inner instanceof BoundExpression ? inner : null;
  }

  /** The int32 indices of a split. */
  coordinates(): Tensor {
    return this.chosen!.basis!['indices']!;
  }

  /** The axis along which a split selects. */
  axis(): 'row' | 'column' | 'element' {
    return CoordinateAges.axisOf(this.site.shape, this.chosen!.reduced!, this.coordinates().size);
  }

  /** The tensors that describe the subspace. */
  basis(): Basis {
    return this.chosen!.basis!;
  }

  /** True when there is a residual in this epoch and the combine reads it. */
  splitsResidual(): boolean {
    return this.readsResidual && !this.chosen!.complete;
  }

  /** The site as the projector sees it. */
  get where(): Site {
    return this.site;
  }

  plan(update: number): readonly PlannedTensor[] {
    const { projector, rule } = this.rule;
    const reduced = this.reducedShape(this.epochAt(update));
    const planned: PlannedTensor[] = [];
    if (reduced !== null) {
      for (const [name, spec] of Object.entries(projector.basis(this.site))) {
        planned.push({ path: joinPath('basis', name), shape: spec.shape, role: 'basis' });
      }
      const inner = this.bind(rule, childSite(this.site, 'rule', reduced)).plan(update);
      planned.push(...inner.map(tensor => ({ ...tensor, path: joinPath('rule', tensor.path) })));
    }
    if (this.residual !== null && !this.isComplete(reduced)) {
      planned.push(
        ...this.residual.plan(update).map(tensor => ({ ...tensor, path: joinPath('residual', tensor.path) })),
      );
    }
    return [...planned, ...this.combineSlots.plan('combine')];
  }

  move(site: Site): void {
    this.site = site;
    // A cadence that has begun goes on when the group grows.
    if (this.chosen === null) this.offset = this.offsetOf(site);
    this.residual?.move(childSite(site, 'residual', site.shape));
  }

  release(update: number): void {
    const epoch = this.epochAt(update);
    if (this.chosen !== null && this.chosen.epoch < epoch && this.reducedShape(epoch) === null) {
      this.choose({ epoch, basis: null, inner: null, reduced: null, complete: false });
    }
    this.residual?.release(update);
  }

  withhold(ordinal: number): void {
    if (this.fitted?.ordinal === ordinal) this.isDoubtful = true;
    this.chosen?.inner?.withhold(ordinal);
    this.residual?.withhold(ordinal);
    this.combineSlots.withhold(ordinal);
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
    this.combineSlots.reset();
  }

  save(path: string, into: SavedState): void {
    if (this.combineHasState) this.combineSlots.save(joinPath(path, 'combine'), into);
    this.residual?.save(joinPath(path, 'residual'), into);
    if (this.chosen === null) return;
    const { basis, inner } = this.chosen;
    // Loaded, a doubtful subspace is one whose refresh is due.
    const epoch = this.isDoubtful ? this.chosen.epoch - 1 : this.chosen.epoch;
    if (epoch < 0) return;
    into.set(joinPath(path, 'epoch'), epoch);
    if (this.rule.refresh.stagger) into.set(joinPath(path, 'offset'), this.offset);
    if (this.revision !== 1) into.set(joinPath(path, 'revision'), this.revision);
    if (this.rule.projector.traits.basisFrom === 'gradient') {
      for (const [name, tensor] of Object.entries(basis ?? {})) into.set(joinPath(path, `basis/${name}`), tensor);
    }
    inner?.save(joinPath(path, 'rule'), into);
  }

  restore(path: string, from: StateReader, context: RestoreContext): void {
    this.reset();
    if (this.combineHasState) this.combineSlots.restore(joinPath(path, 'combine'), from);
    this.revision = savedRevision(path, from, this.rule.projector);
    const occupied = this.occupiedForResidual(context.occupied);
    this.residual?.restore(joinPath(path, 'residual'), from, { occupied });
    if (!from.has(joinPath(path, 'epoch'))) return;
    const { projector, rule, refresh } = this.rule;
    const epoch = from.counter(joinPath(path, 'epoch'));
    if (refresh.stagger) this.offset = from.counter(joinPath(path, 'offset'));
    const reduced = this.reducedShape(epoch);
    if (reduced === null) {
      this.choose({ epoch, basis: null, inner: null, reduced: null, complete: false });
      return;
    }
    let basis: Basis;
    if (projector.traits.basisFrom === 'gradient') {
      const specs = Object.entries(projector.basis(this.site));
      // Integers were saved as a list and become a tensor again, of which only the copy stays.
      basis = keepAll(
        tidy(() =>
          Object.fromEntries(
            specs.map(([name, { shape, dtype }]) => [
              name,
              from.tensor(joinPath(path, `basis/${name}`), shape, dtype).clone(),
            ]),
          ),
        ),
      );
    } else {
      basis = this.fit(null, null, epoch, context.occupied);
    }
    const inner = this.bind(rule, childSite(this.site, 'rule', reduced));
    const indices = indicesOf(basis);
    const remembered = this.indicesToRemember(basis);
    this.choose({ epoch, basis, inner, reduced, complete: this.isComplete(reduced), indices: remembered });
    const axis = indices === null ? 'element' : CoordinateAges.axisOf(this.site.shape, reduced, indices.length);
    inner.restore(joinPath(path, 'rule'), from, { coordinates: { axis, count: indices?.length ?? 0 } });
  }

  dispose(): void {
    this.choose(null);
    this.residual?.dispose();
    this.combineSlots.reset();
  }

  private epochAt(update: number): number {
    return Math.floor((update + this.offset) / this.rule.refresh.every);
  }

  /** Updates by which the refreshes of this parameter are ahead of those of the first one in its group. */
  private offsetOf({ index, members }: Site): number {
    const { every, stagger = false } = this.rule.refresh;
    return stagger && Number.isFinite(every) ? Math.floor((index * every) / members.length) : 0;
  }

  /** Shape of the gradient inside, or null when there is nothing inside. */
  private reducedShape(epoch: number): Shape | null {
    const reduced = this.rule.projector.reducedShape(this.site, epoch);
    return reduced === null || sizeOf(reduced) === 0 ? null : reduced;
  }

  private isComplete(reduced: Shape | null): boolean {
    const whole = reduced !== null && sizeOf(reduced) === sizeOf(this.site.shape);
    return whole && this.rule.projector.traits.orthonormal;
  }

  /** Inside, the parameter is seen through the projector like the gradient. */
  private innerContext({ update, parameter, verdict }: StepContext, basis: Basis): StepContext {
    const context = verdict === undefined ? { update } : { update, verdict };
    if (parameter === undefined || !readsParameter(this.rule.rule)) return context;
    return { ...context, parameter: this.rule.projector.down(parameter, basis, this.site) };
  }

  private residualOf(g: Tensor, projected: Tensor): Tensor {
    const { projector, combine } = this.rule;
    const exact = projector.traits.coordinate || combine.tolerance === 0;
    const graph = exact ? EXACT_RESIDUAL : TOLERANT_RESIDUAL;
    return interpret(graph, { g, projected }, { tolerance: combine.tolerance }, this.site.shape)['residual']!;
  }

  private refreshIfDue(gradient: () => Tensor, { update, occupied, verdict }: StepContext): void {
    // Updates go back by those that the device left out, epochs do not.
    const epoch = Math.max(this.epochAt(update), this.chosen?.epoch ?? 0);
    if (this.chosen?.epoch === epoch && !this.isDoubtful) return;
    this.refresh(gradient, epoch, occupied, verdict);
    this.isDoubtful = false;
  }

  private refresh(
    gradient: () => Tensor,
    epoch: number,
    occupied: Occupied | undefined,
    verdict: PendingVerdict | undefined,
  ): void {
    const { rule, onRefresh } = this.rule;
    const before = this.chosen;
    const reduced = this.reducedShape(epoch);
    if (reduced === null) {
      this.choose({ epoch, basis: null, inner: null, reduced: null, complete: false });
      return;
    }
    const isFitted = this.rule.projector.traits.basisFrom === 'gradient';
    const previous = this.isDoubtful && this.fitted?.isFirst ? null : (before?.basis ?? null);
    const basis = this.fit(gradient, previous, epoch, occupied, verdict);
    this.fitted = isFitted && verdict ? { ordinal: verdict.ordinal, isFirst: previous === null } : null;
    const indices = this.indicesToRemember(basis);
    const site = childSite(this.site, 'rule', reduced);
    const sameSize = before?.inner != null && before.reduced !== null && sameShape(before.reduced, reduced);
    const inner = sameSize ? before.inner! : this.bind(rule, site);
    if (sameSize && onRefresh === 'reset') inner.reset();
    if (sameSize && onRefresh === 'transport') {
      this.carry(inner, before.basis!, basis, reduced, before.indices ?? indicesOf(before.basis!), indices);
    }
    this.choose({ epoch, basis, inner, reduced, complete: this.isComplete(reduced), indices });
  }

  /** The coordinates are on the host only until the device has got them. */
  private indicesToRemember(basis: Basis): Int32Array | null {
    return this.rule.onRefresh === 'transport' && !readsBackAtOnce() ? indicesOf(basis) : null;
  }

  private carry(
    inner: BoundRule,
    from: Basis,
    to: Basis,
    reduced: Shape,
    before: Int32Array | null,
    known: Int32Array | null,
  ): void {
    const { projector } = this.rule;
    const carry: Carry = (x, degree) =>
      projector.transport?.(x, from, to, this.site, degree) ??
      projector.down(projector.up(x, from, this.site), to, this.site);
    const after = known ?? indicesOf(to);
    const move: CoordinateMove | null =
      projector.traits.coordinate && before !== null && after !== null
        ? { axis: CoordinateAges.axisOf(this.site.shape, reduced, after.length), from: before, to: after }
        : null;
    inner.transport(carry, move);
  }

  private fit(
    gradient: (() => Tensor) | null,
    previous: Basis | null,
    epoch: number,
    occupied: Occupied | undefined,
    verdict?: PendingVerdict,
  ): Basis {
    const { projector, refresh } = this.rule;
    const start = epoch === 0 ? 0 : Math.max(0, epoch * refresh.every - this.offset);
    const taken = occupied?.kind === projector.kind ? occupied.at(start) : undefined;
    const { site, revision } = this;
    const context = { site, epoch, revision, ...(taken === undefined ? {} : { occupied: taken }) };
    if (projector.traits.basisFrom !== 'gradient') {
      return keepAll(tidy(() => ({ ...projector.fit(null, previous, context) })));
    }
    const g = gradient!();
    if (verdict === undefined) return keepAll(tidy(() => ({ ...projector.fit(g, previous, context) })));
    // Of a gradient that is not finite no subspace can be made: the one before stays, and without one before it that of
    // zeros, which is at least orthonormal, until the host learns of it.
    return keepAll(
      tidy(() => {
        const fitted = projector.fit(gated(verdict.proceed, g, 0), previous, context);
        return previous === null ? { ...fitted } : gatedBasis(verdict.proceed, fitted, previous);
      }),
    );
  }

  /** What a split of the residual should keep clear of: the coordinates covered here and further up. */
  private occupiedForResidual(above: Occupied | undefined): Occupied | undefined {
    if (!this.sharesCoordinates) return undefined;
    const { projector } = this.rule;
    return {
      kind: projector.kind,
      at: update => {
        const epoch = this.epochAt(update);
        if (this.reducedShape(epoch) === null) return new Int32Array(0);
        const basis = this.fit(null, null, epoch, above);
        const own = indicesOf(basis)!;
        disposeAll(basis);
        return above?.kind === projector.kind ? union(own, above.at(update)) : own;
      },
    };
  }

  /** Replaces the chosen subspace and frees what the old one does not share with the new. */
  private choose(next: Chosen | null): void {
    if (this.chosen?.basis && this.chosen.basis !== next?.basis) disposeAll(this.chosen.basis);
    if (this.chosen?.inner && this.chosen.inner !== next?.inner) this.chosen.inner.dispose();
    this.chosen = next;
    this.choicesMade += 1;
  }
}

function readsParameter(rule: Rule | null): boolean {
  if (rule === null || rule.type === 'tensor') return false;
  if (rule.type === 'expression') return rule.readsParameter ?? false;
  return readsParameter(rule.rule) || readsParameter(rule.combine.rule);
}

function keepAll(basis: Basis): Basis {
  for (const tensor of Object.values(basis)) keep(tensor);
  return basis;
}

/** The fitted basis where the update happens, else the one before. */
function gatedBasis(proceed: Tensor, fitted: Basis, before: Basis): Basis {
  const isAlike = Object.entries(fitted).every(([name, { shape, dtype }]) => {
    return dtype === 'float32' && before[name] !== undefined && sameShape(before[name].shape, shape);
  });
  if (!isAlike) return { ...fitted };
  return Object.fromEntries(Object.entries(fitted).map(([name, next]) => [name, gated(proceed, next, before[name]!)]));
}

function disposeAll(basis: Basis): void {
  for (const tensor of Object.values(basis)) tensor.dispose();
}

/** The coordinates of a basis that is given by them, ascending. */
function indicesOf(basis: Basis): Int32Array | null {
  const { indices } = basis;
  return indices?.dtype === 'int32' ? (indices.dataSync() as Int32Array) : null;
}
