import { interpret, type KernelSet, SharedVariableError, sameShape, TornUpdateError } from '@frugaljs/core';
import { engine, mul, Tensor, tidy, type Variable } from '@tensorflow/tfjs-core';
import type { BoundRule } from './bound/rules.js';
import { stepsTaken } from './bound/slots.js';
import { BoundSubspace, bind, type SubspaceChoice } from './bound/subspace.js';
import { isOfEmptySubspace } from './empty-subspace.js';
import { type Checked, clipped, gated } from './finite-check.js';
import { DensePlan } from './fused/dense-plan.js';
import { SplitPlan } from './fused/split-plan.js';
import { type Clipping, type DecayForm, type ParameterStep, UPDATE_GRAPHS } from './fused/step-graph.js';
import { type GradientAccumulator, inCreationOrder, type VariableGradient } from './gradients.js';
import { type Assigned, assign, changedShape, groupOf, type TakenVariable, warnOfUnmatched } from './groups.js';
import { inSavedOrder, matchSavedNames, savedNamesOf, type UnclaimedState, unclaimed } from './matching.js';
import type { ComposeOptions, Group, NamedShape } from './options.js';
import {
  disposeStates,
  dropEntries,
  PLACE,
  placeEntry,
  placeOf,
  requireSquares,
  type SavedState,
  type SavedStates,
  StateReader,
  withoutMembers,
} from './saved-state.js';

/** What is the same for all parameters in one update. */
export interface Update extends Checked {
  /** Learning rate. */
  readonly rate: number;
  /** Updates made before this one. */
  readonly update: number;
  /** What updates in place; null for the reference path. */
  readonly kernels: KernelSet | null;
}

/** The optimizer that trains a variable, by its parameters: the last that made an update of it. */
const owners = new WeakMap<Variable, Parameters>();

/** Path of the sum of gradients in the state of a variable. */
const ACCUMULATOR = 'accumulator';

/** Updates after which a group that has matched nothing is called to attention. */
const UPDATES_TO_WAIT = 100;

/** Comes after every place. */
const LAST = Number.MAX_SAFE_INTEGER;

/**
 * All variables an optimizer has met, by name: which group each is in, the rule at work on it, and their state.
 *
 * Nothing depends on the order in which gradients are listed. Variables that join in one call do so in the order in which
 * they were made, after all that joined before; where that order matters (a subspace may depend on the members of its
 * group, the norm of all gradients on the order of a sum) each has its place saved under its name. Loaded state whose
 * variable has not come yet keeps its place, and is at work like that of the others.
 */
export class Parameters {
  private trained = new Map<string, Parameter>();
  private readonly claimed = new Map<string, Variable>();
  /** Variables that another optimizer took over, with their state gone, and its description. */
  readonly taken: Map<string, TakenVariable> = new Map();
  /** Updates made here, whatever was made before the state was saved. */
  private updates = 0;
  /** Names in training whose variables have not come since their state was loaded. */
  private readonly awaited = new Set<string>();
  /** Names under which state was saved, of variables that have another name since: seeds follow these. */
  private readonly savedNames = new Map<string, string>();
  private assigned: ReadonlyMap<string, Assigned> = new Map();
  /** The order in which variables joined, of those whose group or norm depends on it. */
  private readonly places = new Map<string, number>();
  /** False for state from before places were saved, until a variable joins that it does not know. */
  private savesPlaces = true;
  /** Some variable was found in the loaded state under its own name. */
  private keepsNames = false;
  /** What to say about an update of which only a part was made; null when there is none. */
  torn: TornUpdateError | null = null;
  /** Loaded state that waits for its variables. */
  private pending: SavedStates | null = null;

  /**
   * @param accumulator Its sums are part of the state of their variables.
   * @param described What the optimizer is called where another one has lost a variable to it.
   */
  constructor(
    private readonly options: ComposeOptions,
    private readonly accumulator: GradientAccumulator,
    private readonly described: string,
  ) {}

  /** True when a variable of this name was met before. */
  knows(name: string): boolean {
    return this.claimed.has(name);
  }

  /** What trains a variable; undefined for one that is frozen or not met yet. */
  get(name: string): Parameter | undefined {
    return this.trained.get(name);
  }

  /** The group and the place of every variable there is, and of every one that state was loaded for. */
  get sites(): ReadonlyMap<string, Assigned> {
    return this.assigned;
  }

  variables(): Variable[] {
    return [...this.claimed.values()];
  }

  /** Takes in the live variables that loaded state waits for; false if it waits for others and none has come. */
  adoptAwaited(): boolean {
    const live = this.awaitedLive().filter(({ variable, entries }) => unclaimed(entries, true).fits(variable));
    if (live.length > 0) this.adopt(live.map(({ variable }) => variable));
    return this.claimed.size > 0 || (this.pending?.size ?? 0) === 0;
  }

  /** Gradients in the order in which their variables joined. */
  inOrder(entries: readonly VariableGradient[]): VariableGradient[] {
    const place = ({ name }: VariableGradient): number => this.places.get(name) ?? LAST;
    return inCreationOrder(entries).sort((a, b) => place(a) - place(b));
  }

  /** Takes in variables that appear for the first time, with state that waits for them. Checks all before it takes any. */
  adopt(listed: readonly Variable[]): void {
    const variables = [...listed, ...this.summed(listed)];
    for (const variable of variables) {
      const taken = this.taken.get(variable.name);
      if (taken?.variable === variable) throw takenOver(variable, taken.by);
      const known = this.assigned.get(variable.name);
      if (known !== undefined && !sameShape(known.site.shape, variable.shape)) throw changedShape(variable, known);
    }
    // One made anew under the name of a variable that was taken is another variable; it has the place of the old one.
    if (variables.filter(({ name }) => this.taken.delete(name)).length > 0) this.add([]);
    this.keepsNames ||= variables.some(({ name }) => this.awaited.has(name) && this.seedName(name) === name);
    const fresh = inCreationOrder(variables.filter(({ name }) => !this.assigned.has(name)));
    if (fresh.length > 0) this.join(fresh, this.match(fresh), this.assigned.size === 0 && !this.awaitsMore(fresh));
    for (const variable of inCreationOrder(variables)) this.claim(variable);
  }

  /**
   * Makes these variables the optimizer's own: one that trained them before gives them up, and cannot train them any more.
   * Called when it is known that their gradients will be used.
   */
  take(entries: readonly VariableGradient[]): void {
    for (const { variable } of entries) {
      const owner = owners.get(variable);
      if (owner === this) continue;
      owner?.giveUp(variable, this.described);
      owners.set(variable, this);
    }
  }

  /** Frees what is kept for a variable that another optimizer trains from now on. */
  private giveUp(variable: Variable, by: string): void {
    const { name } = variable;
    if (this.claimed.get(name) !== variable) return;
    this.trained.get(name)?.bound.dispose();
    this.trained.delete(name);
    this.claimed.delete(name);
    this.accumulator.forget(name);
    this.taken.set(name, { variable, by });
  }

  /**
   * Steps every parameter that has a gradient. The others learn that an update went by. What can be foreseen to fail (bases
   * that are fitted, state that is made) is done for all of them before the first one is written.
   *
   * A step that fails all the same, when something was written before, leaves the update {@link torn}.
   */
  step(entries: readonly VariableGradient[], update: Update): void {
    for (const { name, variable, gradient } of entries) {
      this.trained.get(name)!.prepare(variable, gradient, update);
    }
    const stepped = new Set<string>();
    const before = stepsTaken.count;
    for (const { name, variable, gradient } of entries) {
      try {
        this.trained.get(name)!.step(variable, gradient, update);
      } catch (error) {
        if (stepsTaken.count !== before) this.torn = tornUpdate(name, error);
        throw error;
      }
      stepped.add(name);
    }
    for (const [name, { bound }] of this.trained) {
      if (!stepped.has(name) && bound instanceof BoundSubspace) bound.release(update.update);
    }
    this.updates += 1;
    if (this.updates === UPDATES_TO_WAIT) warnOfUnmatched(this.options.groups, this.assigned, this.updates);
  }

  /** The state of every variable, under the name its seeds follow; what still waits for its variable is as it came. */
  save(): Map<string, SavedState> {
    const states = new Map<string, SavedState>();
    // What another optimizer has taken is a member still, whose turn among the blocks comes.
    for (const name of [...this.trained.keys(), ...this.taken.keys()]) {
      const source = this.seedName(name);
      const state: SavedState = new Map();
      this.trained.get(name)?.bound.save('', state);
      if (!this.savesPlaces) withoutMembers(state);
      const sum = this.accumulator.sumOf(name) ?? this.pending?.get(source)?.get(ACCUMULATOR);
      if (sum !== undefined) state.set(ACCUMULATOR, sum);
      const place = this.savesPlaces && this.isPlaced(name) ? this.places.get(name) : undefined;
      if (place !== undefined) state.set(PLACE, placeEntry({ place, shape: this.assigned.get(name)!.site.shape }));
      if (state.size > 0) states.set(source, state);
    }
    for (const [name, entries] of this.pending ?? []) {
      if (!states.has(name)) states.set(name, entries);
    }
    return states;
  }

  /**
   * Looks at the values of state that is to be loaded, as far as its variables are here.
   *
   * @throws InvalidStateError before anything is changed.
   */
  require(states: SavedStates): void {
    const variables = this.variables().filter(({ name }) => this.trained.has(name));
    for (const [name, source] of savedNamesOf(variables, states)) {
      this.requireValues(this.claimed.get(name)!, states.get(source)!, this.assigned.get(name)!);
    }
  }

  private requireValues({ name, shape }: NamedShape, state: SavedState, { group }: Assigned): void {
    const { use } = this.options.groups[group]!;
    if (use !== undefined) requireSquares(name, state, use, shape);
  }

  /**
   * Takes over state in the place of all there was: that of variables which were met before at once, the rest when its
   * variables come. Variables that the state does not know join anew when they are listed again.
   */
  load(states: SavedStates): void {
    if (this.pending !== null) disposeStates(this.pending);
    this.forget();
    this.taken.clear();
    this.pending = states;
    this.savesPlaces = states.size === 0 || [...states.values()].some(state => state.has(PLACE));
    const met = this.variables();
    if (met.length === 0) return;
    const sources = this.match(met);
    // Before places were saved, those that had met stayed together.
    const taken = this.savesPlaces ? met.filter(({ name }) => sources.has(name)) : met;
    if (taken.length === 0) return;
    this.join(taken, sources, false);
    for (const variable of taken) this.claim(variable);
  }

  /** Frees loaded sums of gradients that nobody has come for: the cycle they belong to has ended. */
  dropSums(): void {
    if (this.pending !== null) dropEntries(this.pending, ACCUMULATOR);
  }

  dispose(): void {
    if (this.pending !== null) disposeStates(this.pending);
    this.pending = null;
    this.forget();
    for (const variable of this.claimed.values()) {
      if (owners.get(variable) === this) owners.delete(variable);
    }
    this.claimed.clear();
    this.taken.clear();
  }

  private forget(): void {
    for (const parameter of this.trained.values()) parameter.bound.dispose();
    this.trained.clear();
    this.awaited.clear();
    this.savedNames.clear();
    this.places.clear();
    this.assigned = new Map();
    this.keepsNames = false;
  }

  /** The name that the seeds and the saved state of a variable follow. */
  private seedName(name: string): string {
    return this.savedNames.get(name) ?? name;
  }

  /** Something depends on the place of this variable: a subspace, or the order in which the global norm is summed. */
  private isPlaced(name: string): boolean {
    const { groups, clip } = this.options;
    const { use, frozen = false } = groups[this.assigned.get(name)!.group]!;
    return !frozen && (use!.type === 'subspace' || clip?.globalNorm !== undefined);
  }

  /** Live variables that loaded sums of gradients belong to: their mean is due with that of the others, listed or not. */
  private summed(listed: readonly Variable[]): Variable[] {
    const { pending } = this;
    if (pending === null) return [];
    if (!this.keepsNames && !listed.some(({ name }) => pending.has(name))) return [];
    return this.awaitedLive().flatMap(({ variable, entries }) => {
      if (!entries.has(ACCUMULATOR) || listed.includes(variable)) return [];
      return groupOf(this.options.groups, variable)?.frozen ? [] : [variable];
    });
  }

  /** A group may still get its parameters: loaded state waits for variables that live and are not listed yet. */
  private awaitsMore(fresh: readonly Variable[]): boolean {
    return this.awaitedLive().some(({ variable }) => !fresh.includes(variable));
  }

  /** Loaded state that waits for a variable, where the variable lives. */
  private awaitedLive(): { readonly variable: Variable; readonly entries: SavedState }[] {
    return [...(this.pending ?? [])].flatMap(([name, entries]) => {
      const variable = this.awaitedVariable(name);
      return variable === undefined ? [] : [{ variable, entries }];
    });
  }

  /** The live variable of a saved name, unless another optimizer trains it. */
  private awaitedVariable(name: string): Variable | undefined {
    const variable = engine().registeredVariables[name];
    const owner = variable === undefined ? undefined : owners.get(variable);
    return owner === undefined || owner === this ? variable : undefined;
  }

  /** Finds loaded state for variables that join. */
  private match(fresh: readonly Variable[]): Map<string, string> {
    const saved = new Map<string, UnclaimedState>();
    const placed: [number, string][] = [];
    for (const name of this.awaited) {
      const { shape } = this.assigned.get(name)!.site;
      placed.push([this.places.get(name) ?? LAST, name]);
      const fits = (parameter: NamedShape): boolean => sameShape(shape, parameter.shape);
      const isMoreThanPlace = this.hasState(name);
      saved.set(name, { fits, isMoreThanPlace, isAwaited: this.awaitedVariable(name) !== undefined });
    }
    for (const [name, entries] of this.pending ?? []) {
      if (saved.has(name)) continue;
      const state = unclaimed(entries, this.awaitedVariable(name) !== undefined);
      placed.push([state.place?.place ?? LAST, name]);
      saved.set(name, state);
    }
    const ordered = placed.every(([place]) => place !== LAST) ? placed.sort(([a], [b]) => a - b) : placed;
    const { groups } = this.options;
    const matched = matchSavedNames(
      fresh.filter(variable => !groupOf(groups, variable)?.frozen),
      new Map(ordered.map(([, name]) => [name, saved.get(name)!])),
      this.keepsNames,
    );
    for (const [name, source] of matched) this.keepsNames ||= name === source;
    return matched;
  }

  /**
   * Gives variables their places: those that loaded state has for them, or the next ones.
   *
   * @param fresh In the order in which they join.
   * @param sources Where their state is.
   * @param isFirst Whether every group must have got its parameters now.
   */
  private join(fresh: readonly Variable[], sources: ReadonlyMap<string, string>, isFirst: boolean): void {
    const { groups } = this.options;
    const isLate = this.assigned.size > 0;
    const saved = [...(this.pending?.keys() ?? [])];
    const arranged = this.savesPlaces ? fresh : inSavedOrder(fresh, sources, saved, each => groupOf(groups, each));
    try {
      for (const [name, source] of sources) {
        if (this.awaited.has(source)) this.rename(source, name);
        this.savedNames.set(name, source);
      }
      const variableOf = new Map([...sources].map(([name, source]) => [source, name]));
      const reserved = [...(this.pending ?? [])].flatMap(([source, state]) => {
        const ofState = placeOf(state);
        const name = variableOf.get(source) ?? source;
        if (ofState === null || this.assigned.has(name)) return [];
        const parameter = { name, ...ofState };
        const group = groupOf(groups, parameter);
        return group === undefined || group.frozen ? [] : [parameter];
      });
      this.add(reserved.sort((a, b) => a.place - b.place));
      for (const { name, place } of reserved) {
        this.places.set(name, place);
        this.awaited.add(name);
      }
      const others = arranged.filter(({ name }) => !this.assigned.has(name));
      this.add(others, isFirst);
      // From here on the order is another than that in which the first listing would have it.
      if (isLate && others.some(({ name }) => !sources.has(name))) this.savesPlaces = true;
      let last = [...this.places.values()].reduce((a, b) => Math.max(a, b), -1);
      for (const { name } of others) if (this.isPlaced(name)) this.places.set(name, ++last);
    } catch (error) {
      for (const name of sources.keys()) if (!this.assigned.has(name)) this.savedNames.delete(name);
      throw error;
    }
  }

  /** Puts rules to work on parameters, with the state that was loaded for them; all of them or, after an error, none. */
  private add(parameters: readonly NamedShape[], isFirst = false): void {
    const { groups, seed = 0, clip } = this.options;
    const assigned = assign(groups, parameters, seed, this.assigned, name => this.seedName(name), isFirst);
    const made = new Map<string, Parameter>();
    try {
      for (const [name, { group: index, site }] of assigned) {
        const group = groups[index]!;
        if (group.frozen || this.trained.has(name) || this.taken.has(name)) continue;
        const parameter = new Parameter(bind(group.use!, site), group, clip?.value);
        made.set(name, parameter);
        this.restore(parameter.bound, { name, shape: site.shape }, assigned.get(name)!);
      }
    } catch (error) {
      for (const { bound } of made.values()) bound.dispose();
      throw error;
    }
    this.assigned = assigned;
    for (const [name, parameter] of made) {
      this.trained.set(name, parameter);
      this.drop(this.seedName(name));
    }
    for (const [name, { bound }] of this.trained) bound.move(assigned.get(name)!.site);
  }

  private restore(bound: BoundRule, parameter: NamedShape, assigned: Assigned): void {
    const saved = this.pending?.get(this.seedName(parameter.name));
    if (saved === undefined) return;
    const entries: SavedState = new Map(saved);
    entries.delete(ACCUMULATOR);
    entries.delete(PLACE);
    // A version that left such parameters in their subspace had nothing of them in it.
    if (assigned.note !== undefined && isOfEmptySubspace(entries)) entries.clear();
    this.requireValues(parameter, entries, assigned);
    const reader = new StateReader(parameter.name, entries);
    bound.restore('', reader, {});
    reader.finish();
  }

  /** Frees loaded state that is at work, but for the sum of gradients, which waits for the variable. */
  private drop(source: string): void {
    const saved = this.pending?.get(source);
    if (saved === undefined) return;
    const sum = saved.get(ACCUMULATOR);
    saved.delete(ACCUMULATOR);
    disposeStates(new Map([[source, saved]]));
    if (sum === undefined) this.pending!.delete(source);
    else this.pending!.set(source, new Map([[ACCUMULATOR, sum]]));
  }

  /** A variable has come, under this name, for state that is at work under the name it was saved with. */
  private rename(source: string, name: string): void {
    if (source === name) return;
    const renamed = <V>(map: ReadonlyMap<string, V>): Map<string, V> =>
      new Map([...map].map(([key, value]) => [key === source ? name : key, value]));
    this.trained = renamed(this.trained);
    this.assigned = renamed(this.assigned);
    const place = this.places.get(source);
    if (place !== undefined) this.places.set(name, place);
    this.places.delete(source);
    this.awaited.delete(source);
    this.awaited.add(name);
  }

  private claim(variable: Variable): void {
    const { name } = variable;
    this.awaited.delete(name);
    this.claimed.set(name, variable);
    const source = this.seedName(name);
    const sum = this.trained.has(name) ? this.pending?.get(source)?.get(ACCUMULATOR) : undefined;
    if (!(sum instanceof Tensor)) return;
    this.accumulator.restore(variable, sum);
    sum.dispose();
    this.pending!.delete(source);
  }

  private hasState(name: string): boolean {
    const state: SavedState = new Map();
    this.trained.get(name)!.bound.save('', state);
    return state.size > 0;
  }
}

/** One variable in training: the rule that is bound to it and the hyper-parameters of its group. */
class Parameter {
  private readonly form: DecayForm;
  private plan: SplitPlan | DensePlan | string = 'not planned yet';
  /** What the plan was made for. */
  private plannedFor: { readonly kernels: KernelSet; readonly clipping: Clipping; readonly levels: Level[] } | null =
    null;
  /** Where the factor is found, once the norm of the gradients was clipped in some update. */
  private scale: Clipping['scale'] = 'none';

  constructor(
    readonly bound: BoundRule,
    private readonly group: Group,
    private readonly clipValue: number | undefined,
  ) {
    const { weightDecay = 0, decay = 'before' } = group;
    this.form = weightDecay === 0 ? 'none' : decay;
  }

  /** Chooses the subspaces of an update, plans it, and makes the state that it writes; changes no value. */
  prepare(variable: Variable, gradient: Tensor, { update, factor, gate, kernels }: Update): void {
    const { bound, clipValue } = this;
    tidy(() => {
      if (bound instanceof BoundSubspace) bound.prepare(() => clipped(gradient, clipValue, factor), { update, gate });
      if (kernels === null) return;
      if (typeof factor !== 'number') this.scale = 'device';
      else if (this.scale === 'device' || factor !== 1) this.scale = 'host';
      if (!this.isPlanned(kernels, gate !== null)) this.replan(kernels, gate !== null);
      if (typeof this.plan === 'string') return;
      this.plan.allocate(kernels);
      if (!kernels.isSole(variable)) variable.assign(mul(variable, 1));
    });
  }

  /** Takes one update that was prepared. */
  step(variable: Variable, gradient: Tensor, { rate, update, factor, isHuge, gate, kernels }: Update): void {
    const { lrScale = 1, weightDecay = 0 } = this.group;
    const numbers = { rate: rate * lrScale, keep: 1 - rate * weightDecay };
    const step: ParameterStep = { update, parameter: variable, ...numbers, factor, isHuge, gate };
    const { plan } = this;
    tidy(() => {
      if (kernels === null || typeof plan === 'string') this.stepByReference(variable, gradient, step);
      else plan.run(kernels, variable, gradient, step);
    });
  }

  /** What runs the rule, or why nothing faster than the reference does. */
  describe(kernels: KernelSet | null): string {
    if (kernels === null) return 'reference: tfjs operations';
    if (typeof this.plan === 'string') return `reference: ${this.plan}`;
    return `${kernels.description}: ${this.plan.describe()}`;
  }

  private stepByReference(variable: Variable, gradient: Tensor, step: ParameterStep): void {
    const { rate, keep, factor, gate } = step;
    const direction = this.bound.step(clipped(gradient, this.clipValue, factor), step);
    const { weightDecay = 0, decayInactive = true } = this.group;
    if (direction === null && (weightDecay === 0 || !decayInactive)) return;
    const graph = UPDATE_GRAPHS[direction === null ? 'only' : this.form];
    const inputs: Record<string, Tensor> = direction === null ? { w: variable } : { w: variable, d: direction };
    const next = interpret(graph, inputs, { rate, keep }, variable.shape)['w']!;
    variable.assign(gate === null ? next : gated(gate, next, variable));
    // A block at rest that decays has no slots that would have counted this.
    stepsTaken.count += 1;
  }

  /**
   * Subspaces change what there is to plan when they are chosen anew, be it at a refresh or by restored state, and when
   * coordinates become of one age.
   */
  private isPlanned(kernels: KernelSet, isGated: boolean): boolean {
    const planned = this.plannedFor;
    if (planned?.kernels !== kernels) return false;
    if (planned.clipping.scale !== this.scale || planned.clipping.isGated !== isGated) return false;
    return planned.levels.every(
      ({ subspace, choice, hasAges }) =>
        subspace.chosen === choice && (choice?.inner?.slots.hasAges ?? false) === hasAges,
    );
  }

  private replan(kernels: KernelSet, isGated: boolean): void {
    const clipping: Clipping = { clipValue: this.clipValue, scale: this.scale, isGated };
    const split = SplitPlan.of(this.bound, kernels, clipping, this.form);
    this.plan = typeof split === 'string' ? DensePlan.instead(split, this.bound, kernels, clipping, this.form) : split;
    const levels: Level[] = [];
    for (let rule: BoundRule | null = this.bound; rule instanceof BoundSubspace; rule = rule.residual) {
      levels.push({ subspace: rule, choice: rule.chosen, hasAges: rule.chosen?.inner?.slots.hasAges ?? false });
    }
    this.plannedFor = { kernels, clipping, levels };
  }
}

/** A subspace, or one on the residual of another, as it was when a plan was made. */
interface Level {
  readonly subspace: BoundSubspace;
  readonly choice: SubspaceChoice | null;
  /** Its coordinates differed in age. */
  readonly hasAges: boolean;
}

function takenOver(variable: Variable, by: string): SharedVariableError {
  return new SharedVariableError({
    parameter: `variable "${variable.name}"`,
    found: `one that another optimizer (${by}) has taken over, which freed the state that was kept for it here`,
    expected: 'a variable that no other optimizer has trained since',
    advice: 'Go on with that optimizer, or put both rules into the groups of one compose().',
  });
}

function tornUpdate(name: string, cause: unknown): TornUpdateError {
  const why = cause instanceof Error ? cause.message : String(cause);
  return new TornUpdateError(
    {
      parameter: 'optimizer',
      found: `an update that failed at variable "${name}", after others may have taken it: ${why}`,
      expected: 'whole updates',
      advice: 'Restore the weights and the optimizer (setWeights) from where both were saved together.',
    },
    cause,
  );
}
