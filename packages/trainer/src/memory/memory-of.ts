import { type LoraOptions, loraShapes } from '@frugaljs/adapters/lora';
import { type ComposedOptimizer, type NamedShape, projectorFromJson } from '@frugaljs/composer';
import { InvalidOptionError, type Json, sizeOf } from '@frugaljs/core';
import { type LlamaConfig, parameterSpecs } from '@frugaljs/llama';
import type { BackendLimits } from '../backend.js';
import { formatBinaryBytes } from '../terminal/text.js';
import { llamaStepMemory, type StepMemory, type Workload } from './llama-activations.js';
import { stateOverTime } from './state-over-time.js';

/** A model: a LLaMA by its configuration, with a batch to train on, or any other by its variables. */
export type PlannedModel = LlamaModel | OtherModel;

export interface LlamaModel extends Workload {
  readonly config: LlamaConfig;
  /** Adapters that are trained in place of the weights, which are then all frozen. */
  readonly lora?: Pick<LoraOptions, 'r' | 'targetModules'>;
  /** Parameters that are not trained (`trainable` is false): they have neither gradient nor state. */
  readonly frozen?: RegExp;
}

export interface OtherModel {
  /** Variables, or names and shapes. */
  readonly variables: readonly NamedShape[];
  /** What a training step holds at its fullest besides parameters, gradients and state. Default 0. */
  readonly activationBytes?: number;
  /** Parameters that are not trained (`trainable` is false): they have neither gradient nor state. */
  readonly frozen?: RegExp;
}

/** Bytes of a training run, all of float32. */
export interface MemoryEstimate {
  readonly parameterBytes: number;
  readonly gradientBytes: number;
  /** Optimizer state: moments, subspaces and accumulated gradients. */
  readonly stateBytes: number;
  readonly slotBytes: number;
  readonly basisBytes: number;
  readonly accumulatorBytes: number;
  /** Everything else at the fullest moment: activations, their gradients, temporaries. */
  readonly activationBytes: number;
  /** Everything, at the fullest moment. */
  readonly peakBytes: number;
  /** When that is. */
  readonly fullest: 'forward' | 'backward' | 'update';
  readonly largestTensor: { readonly name: string; readonly bytes: number };
}

/** One list for each configuration, so that answers about it can be remembered. */
const specsOf: WeakMap<LlamaConfig, readonly NamedShape[]> = new WeakMap();

/** The names and shapes of a model's parameters. */
export function variablesOf(model: PlannedModel): readonly NamedShape[] {
  if ('config' in model) {
    const specs = specsOf.get(model.config) ?? Object.freeze(parameterSpecs(model.config));
    specsOf.set(model.config, specs);
    return specs;
  }
  if (model.variables.length === 0) {
    throw new InvalidOptionError({ parameter: 'variables', found: [], expected: 'at least one variable' });
  }
  return model.variables;
}

/** The names and shapes of what `lora` adds to a model. */
function adaptersOf(model: PlannedModel): readonly NamedShape[] {
  if (!('config' in model) || model.lora === undefined) return [];
  const { lora, config } = model;
  return loraShapes(
    parameterSpecs(config).filter(({ kind }) => kind === 'linear'),
    lora,
  );
}

/** Whatever its name is. */
const EVERYTHING = /^/;

/**
 * What training takes, before anything is built.
 *
 * State is what the optimizer's own `memoryReport` says, at the update where it is most. The fullest moment is one of
 * three: the end of the forward pass (parameters, state and activations), the backward pass (these, what it leaves behind
 * and all gradients), and the update (parameters, state, gradients and the temporaries of the update).
 *
 * Fused updates of coordinate subspaces take one parameter's new index beside its old one; of dense subspaces up to five
 * times the largest projected parameter. Updates by operations take up to six times the largest parameter, and without
 * kernels, where that is more, a copy of all gradients.
 */
export function memoryOf(
  model: PlannedModel,
  optimizer: ComposedOptimizer,
  { updates }: Pick<BackendLimits, 'updates'> = { updates: 'in-place' },
): MemoryEstimate {
  const weights = variablesOf(model);
  const adapters = adaptersOf(model);
  const all = [...weights, ...adapters];
  const { frozen } = model;
  const unfrozen = frozen === undefined ? weights : weights.filter(({ name }) => !frozen.test(name));
  const trained = adapters.length > 0 ? adapters : unfrozen;
  const bytes = ({ shape }: NamedShape): number => 4 * sizeOf(shape);
  const total = (list: readonly NamedShape[]): number => list.reduce((sum, each) => sum + bytes(each), 0);
  const parameterBytes = total(all);
  const gradientBytes = total(trained);
  const state = stateOverTime(optimizer, trained);
  const step = stepOf(model);

  const largestTrained = Math.max(0, ...trained.map(bytes));
  const dense = hasDenseProjector(optimizer.toJSON());
  const workspace = dense ? 5 * state.largestProjectedBytes : state.largestBasisBytes;
  const temporaries = {
    'in-place': state.changingBytes + workspace,
    'by-operations': state.changingBytes + Math.max(workspace, 6 * largestTrained),
    // The copy is for a check of all gradients, which is over before anything changes.
    reference: Math.max(state.stateBytes + gradientBytes, state.changingBytes + 6 * largestTrained),
  };

  const standing = parameterBytes + step.tableBytes;
  const moments = {
    forward: standing + state.stateBytes + step.forwardBytes,
    backward: standing + state.stateBytes + gradientBytes + step.backwardBytes,
    update: standing + gradientBytes + temporaries[updates],
  };
  const fullest = (Object.keys(moments) as (keyof typeof moments)[]).reduce((a, b) =>
    moments[b] > moments[a] ? b : a,
  );
  const { stateBytes, slotBytes, basisBytes, accumulatorBytes } = state;
  const peakBytes = moments[fullest];
  return {
    parameterBytes,
    gradientBytes,
    stateBytes,
    slotBytes,
    basisBytes,
    accumulatorBytes,
    activationBytes: peakBytes - parameterBytes - gradientBytes - stateBytes,
    peakBytes,
    fullest,
    largestTensor: all
      .map(variable => ({ name: variable.name, bytes: bytes(variable) }))
      .reduce((most, each) => (each.bytes > most.bytes ? each : most), step.largest),
  };
}

function stepOf(model: PlannedModel): StepMemory {
  if ('config' in model) {
    const frozen = model.lora === undefined ? model.frozen : EVERYTHING;
    return llamaStepMemory(model.config, model, frozen, adaptersOf(model));
  }
  const bytes = model.activationBytes ?? 0;
  if (!Number.isFinite(bytes) || bytes < 0) {
    throw new InvalidOptionError({ parameter: 'activationBytes', found: bytes, expected: 'a number of at least 0' });
  }
  return { tableBytes: 0, forwardBytes: bytes, backwardBytes: bytes, largest: { name: 'none', bytes: 0 } };
}

/** Whether a composition has, at any depth, a projector that mixes coordinates and therefore multiplies matrices. */
function hasDenseProjector(json: Json | undefined): boolean {
  if (typeof json !== 'object' || json === null) return false;
  const { kind, options } = json as { kind?: Json; options?: { projector?: { kind: string; options: never } } };
  if (kind === 'subspace' && options?.projector !== undefined) {
    if (!projectorFromJson(options.projector).traits.coordinate) return true;
  }
  return Object.values(json).some(value => hasDenseProjector(value));
}

/** Whether a run stays within limits. */
export function fits(
  { peakBytes, largestTensor }: MemoryEstimate,
  { totalBytes, tensorBytes }: BackendLimits,
): boolean {
  return (
    (totalBytes === null || peakBytes <= totalBytes) && (tensorBytes === null || largestTensor.bytes <= tensorBytes)
  );
}

/** What keeps a run from fitting, in clauses; empty if it fits. */
export function obstacles(memory: MemoryEstimate, limits: BackendLimits): string[] {
  const { peakBytes, largestTensor } = memory;
  const found: string[] = [];
  if (limits.totalBytes !== null && peakBytes > limits.totalBytes) {
    const excess = formatBinaryBytes(peakBytes - limits.totalBytes);
    found.push(`everything would take ${formatBinaryBytes(peakBytes)}, ${excess} more than ${limits.total}`);
  }
  if (limits.tensorBytes !== null && largestTensor.bytes > limits.tensorBytes) {
    const [tensor, limit] = [largestTensor.bytes, limits.tensorBytes].map(formatBinaryBytes);
    found.push(`${largestTensor.name} takes ${tensor}, more than ${limits.tensor}, ${limit}`);
  }
  return found;
}
