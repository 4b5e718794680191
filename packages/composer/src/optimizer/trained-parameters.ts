import { type KernelSet, ShapeMismatchError, sameShape } from '@frugaljs/core';
import type { Variable } from '@tensorflow/tfjs-core';
import { type SavedState, StateReader } from '../runtime/saved-state.js';
import { type Assigned, assign } from './assignment.js';
import type { ComposeOptions } from './options.js';
import { disposeStates, matchSavedNames, type SavedStates } from './saved-weights.js';
import { TrainedParameter } from './trained-parameter.js';

/** All variables an optimizer has met, by name: which group each is in, and the rule at work on it. */
export class TrainedParameters {
  private readonly trained = new Map<string, TrainedParameter>();
  private readonly claimed = new Map<string, Variable>();
  /** Names under which state was saved, of variables that have another name since: seeds follow these. */
  private readonly savedNames = new Map<string, string>();
  private assigned: ReadonlyMap<string, Assigned> = new Map();

  constructor(
    private readonly options: ComposeOptions,
    private readonly optimizer: object,
  ) {}

  /** True when a variable of this name was met before. */
  knows(name: string): boolean {
    return this.claimed.has(name);
  }

  /** What trains a variable; undefined for one that is frozen or not met yet. */
  get(name: string): TrainedParameter | undefined {
    return this.trained.get(name);
  }

  all(): ReadonlyMap<string, TrainedParameter> {
    return this.trained;
  }

  variables(): Variable[] {
    return [...this.claimed.values()];
  }

  /**
   * Takes in variables that appear for the first time. Checks all of them before it takes any.
   *
   * @returns True when some were new.
   */
  adopt(variables: readonly Variable[]): boolean {
    for (const variable of variables) {
      TrainedParameter.requireUnclaimed(variable, this.optimizer);
      this.requireSameShape(variable);
    }
    const isNew = variables.some(({ name }) => !this.assigned.has(name));
    if (isNew) this.assignAll(variables);
    for (const variable of variables) {
      if (this.claimed.get(variable.name) === variable) continue;
      this.claimed.set(variable.name, variable);
      TrainedParameter.claim(variable, this.optimizer);
    }
    return isNew;
  }

  /** Adds the state of every variable, under the name its seeds follow. */
  save(into: Map<string, SavedState>, more: (name: string, state: SavedState) => void): void {
    for (const [name, parameter] of this.trained) {
      const state: SavedState = new Map();
      parameter.bound.save('', state);
      more(name, state);
      if (state.size > 0) into.set(this.savedNames.get(name) ?? name, state);
    }
  }

  /**
   * Gives saved state to the variables it belongs to; what belongs to none of them stays in `states`. When one does not
   * fit, all start afresh.
   *
   * @param take Called with the entries of a variable before its rule reads them; may take some out.
   */
  restore(states: SavedStates, take: (variable: Variable, entries: SavedState) => void): void {
    const waiting = [...this.claimed.values()].filter(({ name }) => this.trained.has(name) && !this.hasState(name));
    const sources = matchSavedNames(waiting, states);
    for (const [name, source] of sources) this.savedNames.set(name, source);
    this.moveAll();
    try {
      for (const variable of waiting) {
        const source = sources.get(variable.name);
        if (source === undefined) continue;
        const entries: SavedState = new Map(states.get(source)!);
        take(variable, entries);
        const reader = new StateReader(variable.name, entries);
        this.trained.get(variable.name)!.bound.restore('', reader, {});
        reader.finish();
      }
    } catch (error) {
      this.reset();
      throw error;
    }
    for (const source of sources.values()) {
      disposeStates(new Map([[source, states.get(source)!]]));
      states.delete(source);
    }
  }

  /** Takes back the step of every parameter in a judged update that the device left out. */
  withhold(ordinal: number): void {
    for (const parameter of this.trained.values()) parameter.bound.withhold(ordinal);
  }

  reset(): void {
    for (const parameter of this.trained.values()) parameter.bound.reset();
  }

  describe(name: string, kernels: KernelSet | null): string | undefined {
    return this.trained.get(name)?.describe(kernels);
  }

  dispose(): void {
    for (const parameter of this.trained.values()) parameter.bound.dispose();
    for (const variable of this.claimed.values()) TrainedParameter.release(variable, this.optimizer);
    this.trained.clear();
    this.claimed.clear();
  }

  private hasState(name: string): boolean {
    const state: SavedState = new Map();
    this.trained.get(name)!.bound.save('', state);
    return state.size > 0;
  }

  private assignAll(parameters: readonly Variable[]): void {
    const { groups, seed = 0, clip } = this.options;
    const assigned = assign(groups, parameters, seed, this.assigned);
    const made = new Map<string, TrainedParameter>();
    for (const [name, place] of assigned) {
      const group = groups[place.group]!;
      if (group.frozen || this.trained.has(name)) continue;
      made.set(name, new TrainedParameter(place, group, clip?.value));
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

  /** A variable may be made anew under its name and goes on with the state of the old one, if that still fits. */
  private requireSameShape({ name, shape }: Variable): void {
    const known = this.assigned.get(name);
    if (known === undefined || sameShape(known.site.shape, shape)) return;
    throw new ShapeMismatchError({
      parameter: `variable "${name}"`,
      found: `shape [${shape}]`,
      expected: `shape [${known.site.shape}], which the variable of this name had in earlier updates`,
      advice: 'Give the variable another name, or compose a new optimizer.',
    });
  }
}
