import { DisposedError, type Json, type Schedule } from '@frugaljs/core';
import {
  dispose,
  type NamedTensorMap,
  Optimizer,
  type Scalar,
  serialization,
  type Variable,
} from '@tensorflow/tfjs-core';
import { GradientAccumulator } from './accumulator.js';
import { compositionFromJson, compositionToJson } from './composition-json.js';
import { DeviceHealth, judgesOnDevice } from './device-health.js';
import { type Explanation, explain } from './explain.js';
import { explainingGradients } from './gradient-functions.js';
import { examineGradients } from './gradient-health.js';
import {
  type Gradients,
  type NamedTensor,
  type ReadGradients,
  readGradients,
  type VariableGradient,
} from './gradients.js';
import { type MemoryReport, memoryReport } from './memory-report.js';
import type { ComposeOptions } from './options.js';
import { namedShapes, type ReportedParameters } from './reported-parameters.js';
import { StateExchange } from './state-exchange.js';
import { TrainedParameters } from './trained-parameters.js';
import { Updater } from './updater.js';
import { rateAt, requireLearningRate, validateOptions } from './validate-options.js';
import { WithheldRounds } from './withheld-rounds.js';

/**
 * A composition at work: a `tf.Optimizer` for `minimize`, `applyGradients` and `LayersModel.compile`. State is keyed by
 * the names of the variables, so freezing, unfreezing and reordering them disturbs nothing. Made by {@link compose}.
 */
export class ComposedOptimizer extends Optimizer {
  static get className(): string {
    return 'FrugalComposed';
  }

  /**
   * Updates left out because a gradient was not finite, under the policy `skip`. On backends that cannot be read at
   * once (webgpu) it follows a little later; {@link settled} waits for it.
   */
  skippedUpdates = 0;

  private readonly options: ComposeOptions;
  private rate: number | Schedule;
  private readonly accumulator: GradientAccumulator;
  private readonly health: DeviceHealth;
  private readonly parameters: TrainedParameters;
  private readonly updater: Updater;
  private readonly withheldRounds: WithheldRounds;
  private readonly state: StateExchange;
  private disposed = false;

  constructor(options: ComposeOptions) {
    super();
    validateOptions(options);
    this.options = { ...options, groups: options.groups.map(group => ({ ...group })) };
    this.rate = options.learningRate;
    this.parameters = new TrainedParameters(this.options, this);
    const { accumulate = 1, onNonFinite = 'throw' } = options;
    this.accumulator = new GradientAccumulator(accumulate);
    this.health = new DeviceHealth(onNonFinite, (ordinal, isRound) => this.withhold(ordinal, isRound));
    this.updater = new Updater(this.options, this.parameters, this.health, this);
    this.withheldRounds = new WithheldRounds(accumulate);
    this.state = new StateExchange(this.parameters, this.accumulator);
    this.iterations_ = 0;
  }

  /**
   * Updates made so far. Rounds of accumulation and skipped updates do not count; on backends that cannot be read at once
   * (webgpu) a skipped one counts until its verdict has arrived.
   */
  get updates(): number {
    return this.iterations_;
  }

  /** The learning rate of the next update. Setting a number or a schedule takes effect with it. */
  get learningRate(): number {
    return typeof this.rate === 'number' ? this.rate : rateAt(this.rate, this.updates);
  }

  set learningRate(rate: number | Schedule) {
    requireLearningRate(rate);
    this.rate = rate;
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
   * policy `throw`, all that follow change nothing there, and the error is thrown by the next call after the verdict has
   * arrived, or by {@link settled}. After that, updates happen again.
   */
  override applyGradients(gradients: NamedTensorMap | NamedTensor[] | Gradients): void {
    this.requireLive();
    this.health.raise();
    const { onMissingGradient = 'throw', onNonFinite = 'throw', accumulate = 1 } = this.options;
    const read = readGradients(gradients as Gradients, onMissingGradient, name => this.parameters.knows(name));
    const entries = this.adopt(read);
    if (accumulate === 1) {
      this.update(entries);
      return;
    }
    const kernels = this.updater.kernels();
    if (judgesOnDevice(kernels)) {
      const { verdict } = this.health.examine(entries, {}, kernels, true);
      this.accumulator.add(entries, verdict?.proceed);
      verdict?.proceed.dispose();
      this.health.poll();
    } else if (examineGradients(entries, {}, onNonFinite, kernels).finite) {
      this.accumulator.add(entries);
    } else {
      this.skippedUpdates += 1;
      return;
    }
    if (!this.accumulator.complete()) return;
    const means = this.accumulator.take();
    this.withheldRounds.take(this.health.latest);
    try {
      this.update(means);
    } finally {
      for (const { gradient } of means) gradient.dispose();
    }
  }

  /** As in tfjs, but frees the gradients also when they are refused. */
  override minimize(f: () => Scalar, returnCost = false, varList?: Variable[]): Scalar | null {
    this.requireLive();
    const { value, grads } = explainingGradients(() => this.computeGradients(f, varList));
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
    await this.health.known();
    this.health.raise();
  }

  /** What the optimizer keeps for these variables after the next update (or a later one); exact to the byte. */
  memoryReport(parameters: ReportedParameters, options: { readonly update?: number } = {}): MemoryReport {
    return memoryReport(this.options, namedShapes(parameters), options.update ?? this.updates);
  }

  /** The expression, the kernel that runs it and the bytes of state, per variable. */
  explain(parameters: ReportedParameters = this.parameters.variables()): Explanation {
    const kernels = this.updater.kernels();
    return explain(this.memoryReport(parameters), name => this.parameters.describe(name, kernels));
  }

  /** The composition as JSON, for `fromJson` and configuration files. */
  toJSON(): { readonly [key: string]: Json | undefined } {
    return compositionToJson({ ...this.options, learningRate: this.rate });
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
    return new cls(compositionFromJson(JSON.parse(config['composition'] as string)));
  }

  /**
   * The whole state as named tensors `variable::slot`. Slots are the optimizer's own tensors and integer counters live
   * until the next call or `dispose()`: copy what you keep.
   */
  override async getWeights(): Promise<NamedTensor[]> {
    this.requireLive();
    await this.health.known();
    const { updates, skippedUpdates: skipped, accumulator } = this;
    return this.state.handOut({ updates, skipped, accumulated: accumulator.count });
  }

  /** Takes over state from {@link getWeights}; for variables not seen yet, when they first appear. */
  override async setWeights(weights: NamedTensor[]): Promise<void> {
    this.requireLive();
    await this.health.known();
    const { updates, skipped } = await this.state.takeIn(weights);
    this.iterations_ = updates;
    this.skippedUpdates = skipped;
    this.state.restore();
  }

  /** Frees all state; the variables can then be trained by another optimizer. */
  override dispose(): void {
    if (this.disposed) return;
    this.parameters.dispose();
    this.accumulator.reset();
    this.health.dispose();
    this.state.dispose();
    this.disposed = true;
  }

  private update(entries: readonly VariableGradient[]): void {
    if (this.updater.update(entries)) this.incrementIterations();
    else this.skippedUpdates += 1;
  }

  /** Takes back what was counted when it was handed to the device, which left it out. */
  private withhold(ordinal: number, isRound: boolean): void {
    // An update of nothing but rounds left out is none besides them.
    const isEmpty = !isRound && this.withheldRounds.makeUp(ordinal);
    if (this.options.onNonFinite === 'skip' && !isEmpty) this.skippedUpdates += 1;
    if (isRound) {
      if (this.withheldRounds.add(ordinal)) this.accumulator.withdraw();
      return;
    }
    this.iterations_ -= 1;
    this.parameters.withhold(ordinal);
  }

  /** Takes in variables that appear for the first time; returns the entries that are trained. */
  private adopt({ variables, entries }: ReadGradients): readonly VariableGradient[] {
    if (this.parameters.adopt(variables)) this.state.restore();
    return entries.filter(({ name }) => this.parameters.get(name) !== undefined);
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

serialization.registerClass(ComposedOptimizer as unknown as serialization.SerializableConstructor<ComposedOptimizer>);
