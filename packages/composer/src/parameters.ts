import {
  interpret,
  type KernelSet,
  ShapeMismatchError,
  SharedVariableError,
  sameShape,
  TornUpdateError,
} from '@frugaljs/core';
import { mul, Tensor, tidy, type Variable } from '@tensorflow/tfjs-core';
import type { BoundRule } from './bound/rules.js';
import { stepsTaken } from './bound/slots.js';
import { BoundSubspace, bind, type SubspaceChoice } from './bound/subspace.js';
import { isOfEmptySubspace } from './empty-subspace.js';
import { type Checked, clipped, gated } from './finite-check.js';
import { DensePlan } from './fused/dense-plan.js';
import { SplitPlan } from './fused/split-plan.js';
import { type Clipping, type DecayForm, type ParameterStep, UPDATE_GRAPHS } from './fused/step-graph.js';
import type { GradientAccumulator, VariableGradient } from './gradients.js';
import { type Assigned, assign, warnOfUnmatched } from './groups.js';
import type { ComposeOptions, Group } from './options.js';
import {
  disposeStates,
  matchSavedNames,
  requireSquares,
  type SavedEntry,
  type SavedState,
  type SavedStates,
  StateReader,
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

/** All variables an optimizer has met, by name: which group each is in, the rule at work on it, and their state. */
export class Parameters {
  private readonly trained = new Map<string, Parameter>();
  private readonly claimed = new Map<string, Variable>();
  /** Variables that another optimizer took over, with their state gone, and its description. */
  private readonly taken = new Map<string, { readonly variable: Variable; readonly by: string }>();
  /** Updates made here, whatever was made before the state was saved. */
  private updates = 0;
  /** Names under which state was saved, of variables that have another name since: seeds follow these. */
  private readonly savedNames = new Map<string, string>();
  private assigned: ReadonlyMap<string, Assigned> = new Map();
  /** What to say about an update of which only a part was made; null when there is none. */
  torn: TornUpdateError | null = null;
  /** Loaded state that waits for its variables. */
  private pending: SavedStates | null = null;
  /** Giving it to them failed: no update happens before that is made good. */
  private isOwed = false;

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

  variables(): Variable[] {
    return [...this.claimed.values()];
  }

  /** Takes in variables that appear for the first time, with state that waits for them. Checks all before it takes any. */
  adopt(variables: readonly Variable[]): void {
    let hasNew = false;
    for (const variable of variables) {
      const taken = this.taken.get(variable.name);
      if (taken?.variable === variable) throw takenOver(variable, taken.by);
      const known = this.assigned.get(variable.name);
      if (known === undefined) hasNew = true;
      else if (!sameShape(known.site.shape, variable.shape)) throw changedShape(variable, known);
      else hasNew ||= !this.trained.has(variable.name) && !this.options.groups[known.group]!.frozen;
    }
    // One made anew under the name of a variable that was taken is another variable.
    for (const { name } of variables) this.taken.delete(name);
    if (hasNew) this.assign(variables);
    for (const variable of variables) this.claimed.set(variable.name, variable);
    if (!hasNew && !this.isOwed) return;
    this.isOwed = true;
    this.restore();
    this.isOwed = false;
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
    for (const [name, parameter] of this.trained) {
      const state: SavedState = new Map();
      parameter.bound.save('', state);
      const sum = this.accumulator.sumOf(name);
      if (sum !== undefined) state.set(ACCUMULATOR, sum);
      if (state.size > 0) states.set(this.savedNames.get(name) ?? name, state);
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
      this.requireValues(this.claimed.get(name)!, states.get(source)!);
    }
  }

  private requireValues({ name, shape }: Variable, state: ReadonlyMap<string, SavedEntry>): void {
    const assigned = this.assigned.get(name);
    const rule = assigned === undefined ? undefined : this.options.groups[assigned.group]!.use;
    if (rule !== undefined) requireSquares(name, state, rule, shape);
  }

  /** Takes over state in the place of all there was. It waits for {@link restore}. */
  load(states: SavedStates): void {
    if (this.pending !== null) disposeStates(this.pending);
    this.reset();
    this.taken.clear();
    this.pending = states;
    this.isOwed = false;
  }

  /**
   * Gives loaded state to the variables it belongs to; the rest waits for variables still to come. When one does not fit,
   * all start afresh.
   */
  restore(): void {
    const { pending } = this;
    if (pending === null || this.claimed.size === 0) return;
    const waiting = this.variables().filter(({ name }) => this.trained.has(name) && !this.hasState(name));
    const sources = matchSavedNames(waiting, pending);
    for (const [name, source] of sources) this.savedNames.set(name, source);
    this.moveAll();
    try {
      for (const variable of waiting) {
        const source = sources.get(variable.name);
        if (source === undefined) continue;
        const entries: SavedState = new Map(pending.get(source)!);
        const sum = entries.get(ACCUMULATOR);
        if (sum instanceof Tensor) this.accumulator.restore(variable, sum);
        entries.delete(ACCUMULATOR);
        // A version that left such parameters in their subspace had nothing of them in it.
        if (this.assigned.get(variable.name)?.note !== undefined && isOfEmptySubspace(entries)) entries.clear();
        this.requireValues(variable, entries);
        const reader = new StateReader(variable.name, entries);
        this.trained.get(variable.name)!.bound.restore('', reader, {});
        reader.finish();
      }
    } catch (error) {
      this.reset();
      throw error;
    }
    for (const source of sources.values()) {
      disposeStates(new Map([[source, pending.get(source)!]]));
      pending.delete(source);
    }
  }

  dispose(): void {
    if (this.pending !== null) disposeStates(this.pending);
    this.pending = null;
    for (const parameter of this.trained.values()) parameter.bound.dispose();
    for (const variable of this.claimed.values()) {
      if (owners.get(variable) === this) owners.delete(variable);
    }
    this.trained.clear();
    this.claimed.clear();
    this.taken.clear();
  }

  private reset(): void {
    for (const parameter of this.trained.values()) parameter.bound.reset();
  }

  private hasState(name: string): boolean {
    const state: SavedState = new Map();
    this.trained.get(name)!.bound.save('', state);
    return state.size > 0;
  }

  private assign(parameters: readonly Variable[]): void {
    const { groups, seed = 0, clip } = this.options;
    const assigned = assign(groups, parameters, seed, this.assigned);
    const made = new Map<string, Parameter>();
    for (const [name, { group: index, site }] of assigned) {
      const group = groups[index]!;
      if (group.frozen || this.trained.has(name) || this.taken.has(name)) continue;
      made.set(name, new Parameter(bind(group.use!, site), group, clip?.value));
    }
    this.assigned = assigned;
    for (const [name, parameter] of made) this.trained.set(name, parameter);
    this.moveAll();
  }

  /** Tells every rule where it is now. */
  private moveAll(): void {
    for (const [name, parameter] of this.trained) {
      const { site } = this.assigned.get(name)!;
      parameter.bound.move({ ...site, name: this.savedNames.get(name) ?? name });
    }
  }
}

/** Which state belongs to which variable; none where they do not fit, which {@link Parameters.restore} complains about. */
function savedNamesOf(variables: readonly Variable[], states: SavedStates): ReadonlyMap<string, string> {
  try {
    return matchSavedNames(variables, states);
  } catch {
    return new Map();
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
      const context = { update, gate, parameter: variable };
      if (bound instanceof BoundSubspace) bound.prepare(() => clipped(gradient, clipValue, factor), context);
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
    this.plan = split === 'a dense projector' ? DensePlan.of(this.bound, kernels, clipping, this.form) : split;
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

/** A variable may be made anew under its name and goes on with the state of the old one, if that still fits. */
function changedShape({ name, shape }: Variable, { site }: Assigned): ShapeMismatchError {
  return new ShapeMismatchError({
    parameter: `variable "${name}"`,
    found: `shape [${shape}]`,
    expected: `shape [${site.shape}], which the variable of this name had in earlier updates`,
    advice: 'Give the variable another name, or compose a new optimizer.',
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
