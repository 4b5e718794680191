import {
  AveragedWeightsError,
  DisposedError,
  InvalidOptionError,
  InvalidStateError,
  type Json,
  type KernelSet,
  keepsAverage,
  kernelsFor,
  NonFiniteGradientError,
  printedAs,
  requireNumber,
  type Schedule,
} from '@frugaljs/core';
import {
  dispose,
  getBackend,
  keep,
  type NamedTensorMap,
  Optimizer,
  type Scalar,
  serialization,
  type Tensor,
  tidy,
  type Variable,
} from '@tensorflow/tfjs-core';
import { compositionToJson, readComposition, requireComposition, requireNextRate } from './composition.js';
import { GradientCheck } from './finite-check.js';
import {
  explainingGradients,
  GradientAccumulator,
  type Gradients,
  lossFunction,
  type NamedTensor,
  readGradients,
  type VariableGradient,
} from './gradients.js';
import { copyOfGroup } from './groups.js';
import type { ComposeOptions } from './options.js';
import { Parameters } from './parameters.js';
import {
  type Explanation,
  explain,
  type MemoryReport,
  memoryReport,
  namedShapes,
  type ReportedParameters,
  sentence,
  takenBy,
} from './reports.js';
import {
  bitsOf,
  disposeStates,
  fromNamedTensors,
  numbersOf,
  OWN,
  type SavedEntry,
  type SavedState,
  toNamedTensors,
} from './saved-state.js';

/**
 * A composition at work: a `tf.Optimizer` for `minimize`, `applyGradients` and `LayersModel.compile`. State is keyed by
 * the names of the variables, so freezing, unfreezing and reordering them disturbs nothing. Made by {@link compose}.
 */
export class ComposedOptimizer extends Optimizer {
  static get className(): string {
    return 'FrugalComposed';
  }

  /**
   * Updates skipped because a gradient was not finite, under the policy `skip`. On backends that cannot be read at once
   * (webgpu) it follows a little later; {@link settled} waits for it.
   */
  skippedUpdates = 0;

  private readonly options: ComposeOptions;
  private rate: number | Schedule;
  private rateScale: number;
  private readonly accumulator: GradientAccumulator;
  private readonly check: GradientCheck;
  private readonly parameters: Parameters;
  /** Tensors made for the last {@link getWeights}. */
  private handedOut: Tensor[] = [];
  private disposed = false;
  /** While {@link withAveragedWeights} is at work. */
  private holdsAverages = false;

  constructor(options: ComposeOptions) {
    super();
    requireComposition(options);
    this.options = { ...options, groups: options.groups.map(copyOfGroup) };
    this.rate = options.learningRate;
    this.rateScale = options.learningRateScale ?? 1;
    const { accumulate = 1, onNonFinite = 'throw' } = options;
    this.accumulator = new GradientAccumulator(accumulate);
    this.check = new GradientCheck(onNonFinite);
    this.parameters = new Parameters(this.options, this.accumulator, this.expressions());
    this.iterations_ = 0;
  }

  /**
   * Updates made so far. Rounds of accumulation and skipped updates do not count; on backends that cannot be read at once
   * (webgpu) a skipped one counts until that is known.
   */
  get updates(): number {
    return this.iterations_;
  }

  /**
   * What the learning rate, a number or a schedule, gives for the next update; {@link learningRateScale} comes on top.
   * Setting it takes effect with the next update. A schedule is replaced by another schedule only: for a number in its
   * place, and for `learningRate *= 0.5`, there is {@link learningRateScale}.
   */
  get learningRate(): number {
    return typeof this.rate === 'number' ? this.rate : rateAt(this.rate, this.updates);
  }

  set learningRate(rate: number | Schedule) {
    requireNextRate(this.rate, rate);
    this.rate = rate;
  }

  /** Factor on the learning rate of every update, for callbacks to change; saved with the state. */
  get learningRateScale(): number {
    return this.rateScale;
  }

  set learningRateScale(scale: number) {
    this.rateScale = requireNumber('learningRateScale', scale, '[0, Infinity)');
  }

  /** Replaces the learning rate; the same as assigning {@link learningRate}. */
  setLearningRate(rate: number | Schedule): void {
    this.learningRate = rate as number;
  }

  /**
   * Makes one update, or adds to the gradients that are accumulated for one. Everything that can be wrong with the
   * gradients is found before anything changes. Does not dispose the gradients.
   *
   * On backends that cannot be read at once (webgpu) NaN and Inf are found on the device: the update and, under the
   * policy `throw`, all that follow change nothing there, and the error is thrown by the next call after that is known,
   * or by {@link settled}. After that, updates happen again.
   */
  override applyGradients(gradients: NamedTensorMap | NamedTensor[] | Gradients): void {
    this.requireWhole();
    this.check.raise();
    const { onMissingGradient = 'throw', accumulate = 1 } = this.options;
    const read = readGradients(gradients as Gradients, onMissingGradient, this.parameters);
    this.parameters.adopt(read.variables);
    const trained = read.entries.filter(({ name }) => this.parameters.get(name) !== undefined);
    const entries = this.parameters.inOrder(trained);
    if (accumulate === 1) this.update(entries, null);
    else this.accumulate(entries);
  }

  /** As in tfjs, but frees the gradients also when they are refused. */
  override minimize(f: () => Scalar, returnCost = false, varList?: Variable[]): Scalar | null {
    this.requireWhole();
    const loss = lossFunction(f);
    const { value, grads } = explainingGradients(() => this.computeGradients(loss, varList));
    try {
      this.applyGradients(varList === undefined ? grads : varList.map(({ name }) => ({ name, tensor: grads[name]! })));
      if (returnCost) return value;
    } catch (error) {
      value.dispose();
      throw error;
    } finally {
      dispose(grads);
    }
    value.dispose();
    return null;
  }

  /**
   * Resolves when it is known what became of all updates made so far: `skippedUpdates` is then exact. At once on
   * backends where every update is known when it has been made.
   *
   * @throws NonFiniteGradientError under the policy `throw`, when a gradient was not finite and no call has said so yet.
   */
  async settled(): Promise<void> {
    this.requireLive();
    await this.check.known();
    this.check.raise();
  }

  /** True when a rule keeps an average of the weights: `averaged(…)`, `scheduleFree(…)`. */
  get keepsAverages(): boolean {
    return this.options.groups.some(({ use }) => use !== undefined && keepsAverage(use));
  }

  /**
   * The averages of the weights that rules keep, by name of the variable: what is to be evaluated and published.
   * Variables without an average are not in it. New tensors, for the caller to dispose.
   *
   * @throws InvalidStateError for loaded state whose variables are not here by the names that it was saved with, before
   *   an update has listed them.
   */
  averagedWeights(): Map<string, Tensor> {
    this.requireWhole();
    if (this.keepsAverages && !this.parameters.adoptAwaited()) throw averagesWait();
    const averages = new Map<string, Tensor>();
    for (const variable of this.parameters.variables()) {
      if (variable.isDisposed) continue;
      tidy(() => {
        const average = this.parameters.get(variable.name)?.bound.average(variable) ?? null;
        if (average !== null) averages.set(variable.name, keep(average));
      });
    }
    return averages;
  }

  /**
   * Calls a function, which may be asynchronous, while the variables hold the averages that rules keep of them, and then
   * gives them their weights in training back, bit for bit. Without such a rule it just calls the function.
   *
   * Until the function is done, or its promise settled, the optimizer neither trains nor gives its state away. What the
   * function assigns to the variables is lost.
   *
   * ```
   * const { loss } = await optimizer.withAveragedWeights(() => evaluate(model));
   * await optimizer.withAveragedWeights(() => model.save('file://model'));
   * ```
   *
   * @throws AveragedWeightsError when called within itself, and as {@link averagedWeights}.
   */
  withAveragedWeights<T>(f: () => T): T {
    if (typeof f !== 'function') {
      throw new InvalidOptionError({ parameter: 'withAveragedWeights', found: f, expected: 'a function to call' });
    }
    const averages = this.averagedWeights();
    const swapped = this.parameters.variables().filter(({ name }) => averages.has(name));
    // Kept, as what calls this may be within a scope that ends before the function does.
    const inTraining = swapped.map(variable => keep(variable.clone()));
    const giveBack = (): void => {
      this.holdsAverages = false;
      swapped.forEach((variable, i) => {
        if (!variable.isDisposed) variable.assign(inTraining[i]!);
      });
      dispose(inTraining);
    };
    this.holdsAverages = true;
    for (const variable of swapped) variable.assign(averages.get(variable.name)!);
    for (const average of averages.values()) average.dispose();
    let result: T;
    try {
      result = f();
    } catch (error) {
      giveBack();
      throw error;
    }
    if (typeof (result as PromiseLike<unknown> | null | undefined)?.then === 'function') {
      return Promise.resolve(result).finally(giveBack) as T;
    }
    giveBack();
    return result;
  }

  /**
   * What the optimizer keeps for these variables after the next update (or a later one); exact to the byte. Nothing of those
   * that another optimizer has taken over.
   */
  memoryReport(parameters: ReportedParameters, options: { readonly update?: number } = {}): MemoryReport {
    return memoryReport(this.options, namedShapes(parameters), options.update ?? this.updates, this.parameters);
  }

  /** The expression, the kernel that runs it and the bytes of state, per variable. */
  explain(parameters: ReportedParameters = this.parameters.variables()): Explanation {
    const kernels = this.kernels();
    const without =
      this.options.kernels === 'reference'
        ? 'reference: tfjs operations'
        : `reference: tfjs operations, as no kernels are imported for the backend ${getBackend()}; ${KERNEL_PACKAGES}`;
    return explain(this.memoryReport(parameters), name => {
      if (takenBy(this.parameters, name) !== undefined) return 'none';
      return kernels === null ? without : this.parameters.get(name)?.describe(kernels);
    });
  }

  /** What it is and where it stands, in a few lines; `console.log` prints it. */
  override toString(): string {
    const rate = typeof this.rate === 'number' ? this.rate : this.rate.kind;
    const scale = this.rateScale === 1 ? '' : ` × ${this.rateScale}`;
    const variables = this.disposed ? [] : this.parameters.variables();
    const bytes = variables.length === 0 ? 0 : this.memoryReport(variables).totalStateBytes;
    const met = `${count(variables.length, 'variable')}, ${count(bytes, 'byte')} of state`;
    return [
      `ComposedOptimizer(${this.expressions()})`,
      `  learning rate ${rate}${scale}, ${count(this.updates, 'update')}, ${this.disposed ? 'disposed' : met}`,
    ].join('\n');
  }

  /** The composition as JSON, for `fromJson` and configuration files. */
  toJSON(): { readonly [key: string]: Json | undefined } {
    const { learningRateScale: given } = this.options;
    const scale = this.rateScale === 1 && given === undefined ? {} : { learningRateScale: this.rateScale };
    return compositionToJson({ ...this.options, learningRate: this.rate, ...scale });
  }

  override getConfig(): serialization.ConfigDict {
    // Loading a model turns snake_case in names and strings of a configuration to camelCase. JSON without a literal
    // underscore passes unharmed.
    return { composition: JSON.stringify(this.toJSON()).replaceAll('_', '\\u005f') };
  }

  static override fromConfig<T extends serialization.Serializable>(
    cls: serialization.SerializableConstructor<T>,
    config: serialization.ConfigDict,
  ): T {
    return new cls(readComposition(JSON.parse(config['composition'] as string)));
  }

  /**
   * The whole state as named tensors `variable::slot`. Slots are the optimizer's own tensors and integer counters live
   * until the next call or `dispose()`: copy what you keep. What another optimizer has taken over is not in it.
   */
  override async getWeights(): Promise<NamedTensor[]> {
    this.requireWhole();
    await this.check.known();
    dispose(this.handedOut);
    this.handedOut = [];
    const counters: SavedState = new Map([
      ['updates', this.updates],
      ['skipped', this.skippedUpdates],
      ['accumulated', this.accumulator.count],
    ]);
    // At 1 state is as it was before there was a scale.
    if (this.rateScale !== 1) counters.set(RATE_SCALE, bitsOf([this.rateScale]));
    return toNamedTensors(new Map([[OWN, counters], ...this.parameters.save()]), this.handedOut);
  }

  /**
   * Takes over state from {@link getWeights}; for variables not seen yet, when they first appear. After an update of which
   * only a part was made it is the way to go on, once the weights are those that were saved with the state.
   *
   * @throws InvalidStateError for what no run leaves behind, such as NaN, counters or second moments below 0: before
   *   anything is replaced.
   */
  override async setWeights(weights: NamedTensor[]): Promise<void> {
    this.requireLive();
    if (this.holdsAverages) throw heldAverages();
    await this.check.known();
    const states = await fromNamedTensors(weights);
    const own: SavedState = states.get(OWN) ?? new Map();
    const [updates, skipped, accumulated] = ['updates', 'skipped', 'accumulated'].map(name => own.get(name));
    if (typeof updates !== 'number' || typeof skipped !== 'number' || typeof accumulated !== 'number') {
      disposeStates(states);
      throw new InvalidStateError({
        parameter: 'setWeights',
        found: [...own.keys()].join(', ') || 'no counters',
        expected: 'the counters updates, skipped and accumulated',
        advice: 'Pass everything that getWeights returned.',
      });
    }
    states.delete(OWN);
    let scale: number;
    try {
      scale = rateScaleOf(own.get(RATE_SCALE));
      this.parameters.require(states);
    } catch (error) {
      disposeStates(states);
      throw error;
    }
    this.accumulator.reset(accumulated);
    this.iterations_ = updates;
    this.skippedUpdates = skipped;
    this.rateScale = scale;
    this.parameters.load(states);
    this.parameters.torn = null;
  }

  /** Frees all state; the variables can then be trained by another optimizer. */
  override dispose(): void {
    if (this.disposed) return;
    this.parameters.dispose();
    this.accumulator.reset();
    this.check.dispose();
    dispose(this.handedOut);
    this.disposed = true;
  }

  /** Adds to the gradients of an update, which is made when there are enough. */
  private accumulate(entries: readonly VariableGradient[]): void {
    const checked = this.check.check(entries, {}, this.kernels());
    if (checked === null) {
      this.skippedUpdates += 1;
      return;
    }
    let completed: ReturnType<GradientAccumulator['complete']> | null = null;
    try {
      this.parameters.take(entries);
      if (this.accumulator.isLast) completed = this.accumulator.complete(entries, checked.gate);
      else this.accumulator.add(entries, checked.gate, this.kernels());
      checked.gate?.ifSkipped(() => this.countSkipped());
    } finally {
      this.check.done(checked);
    }
    if (completed === null) return;
    const { means, cycle } = completed;
    try {
      this.update(this.parameters.inOrder(means), cycle);
      this.startCycle();
    } catch (error) {
      // Sums that have overflowed would do so at every further try.
      if (error instanceof NonFiniteGradientError) this.startCycle();
      throw error;
    } finally {
      for (const { gradient } of means) gradient.dispose();
    }
  }

  private startCycle(): void {
    this.parameters.dropSums();
    this.accumulator.reset();
  }

  /**
   * Makes one update: looks at all gradients, then steps every parameter.
   *
   * @param cycle The rounds of an accumulation that the gradients are the mean of.
   */
  private update(entries: readonly VariableGradient[], cycle: { readonly rounds: number } | null): void {
    const kernels = this.kernels();
    const checked = this.check.check(entries, this.options.clip ?? {}, kernels);
    if (checked === null) {
      this.skippedUpdates += 1;
      return;
    }
    try {
      const { updates: update } = this;
      const rate = this.learningRate * this.rateScale;
      this.parameters.take(entries);
      this.parameters.step(entries, { ...checked, rate, update, kernels });
      kernels?.finish?.();
      this.incrementIterations();
      checked.gate?.ifSkipped(() => {
        this.iterations_ -= 1;
        // An update of nothing but skipped rounds is none besides them.
        if (cycle?.rounds !== 0) this.countSkipped();
      });
    } finally {
      this.check.done(checked);
    }
  }

  private countSkipped(): void {
    if (this.options.onNonFinite === 'skip') this.skippedUpdates += 1;
  }

  /** The rules, in the order of their groups. */
  private expressions(): string {
    return this.options.groups.map(({ use }) => (use === undefined ? 'frozen' : sentence(use))).join('; ');
  }

  /** What updates in place on the current backend; null for the reference path. */
  private kernels(): KernelSet | null {
    return this.options.kernels === 'reference' ? null : kernelsFor(getBackend());
  }

  private requireWhole(): void {
    this.requireLive();
    if (this.parameters.torn !== null) throw this.parameters.torn;
    if (this.holdsAverages) throw heldAverages();
  }

  private requireLive(): void {
    if (!this.disposed) return;
    throw new DisposedError({
      parameter: 'optimizer',
      found: 'a disposed optimizer',
      expected: 'a live one',
      advice: 'Compose a new optimizer.',
    });
  }
}

/**
 * Composes rules into an optimizer: each group of parameters gets a rule, and the whole a learning rate, clipping,
 * accumulation and a seed.
 *
 * One update, for every parameter with gradient G (averaged over `accumulate` rounds, clipped): d = rule(G), then
 * W ← (1 - ηλ) W - η · lrScale · d, with η the learning rate at this update.
 */
export function compose(options: ComposeOptions): ComposedOptimizer {
  return new ComposedOptimizer(options);
}

printedAs(ComposedOptimizer.prototype, String);

function count(number: number, noun: string): string {
  return `${number.toLocaleString('en-US')} ${noun}${number === 1 ? '' : 's'}`;
}

function averagesWait(): InvalidStateError {
  return new InvalidStateError({
    parameter: 'averagedWeights',
    found: 'averages in loaded state, and none of its variables',
    expected: 'live variables of the names that the state was saved with',
    advice: 'Make one update with the variables first: it finds their state, also under other names.',
  });
}

function heldAverages(): AveragedWeightsError {
  return new AveragedWeightsError({
    parameter: 'optimizer',
    found: 'variables that hold averages of the weights',
    expected: 'the weights in training',
    advice: 'Wait until withAveragedWeights() is done: await what it returns.',
  });
}

/** Where kernels come from, for those who run without. */
const KERNEL_PACKAGES =
  'import @frugaljs/backend-wasm, @frugaljs/backend-wasm/cpu, @frugaljs/backend-webgpu or @frugaljs/backend-node, whichever is its';

/** The path of the factor on the learning rate in saved state. */
const RATE_SCALE = 'learningRateScale';

/** The inverse of {@link bitsOf}; 1 where nothing was saved. */
function rateScaleOf(entry: SavedEntry | undefined): number {
  if (entry === undefined) return 1;
  if (entry instanceof Int32Array && entry.length === 2) {
    const [scale = 0] = numbersOf(entry);
    if (scale >= 0 && Number.isFinite(scale)) return scale;
  }
  throw new InvalidStateError({
    parameter: `setWeights ::${RATE_SCALE}`,
    found: entry instanceof Int32Array ? `the integers ${[...entry].join(', ')}` : 'something else',
    expected: 'the two halves of a number of at least 0',
    advice: 'The saved state is damaged: load an earlier one.',
  });
}

/**
 * The rate that a schedule gives for an update.
 *
 * @throws InvalidOptionError for NaN, Infinity and what is below 0, before it reaches a weight.
 */
function rateAt(schedule: Schedule, update: number): number {
  const rate = schedule.at(update);
  if (typeof rate === 'number' && rate >= 0 && Number.isFinite(rate)) return rate;
  throw new InvalidOptionError({
    parameter: `schedule ${schedule.kind}, update ${update}`,
    found: rate,
    expected: 'a number in [0, Infinity)',
  });
}

serialization.registerClass(ComposedOptimizer as unknown as serialization.SerializableConstructor<ComposedOptimizer>);
