// The classes of GaLore's code as compositions, one per parameter.
import { drop, type Group, subspace } from '@frugaljs/composer';
import {
  type ExpressionRule,
  expressionRule,
  type Rule,
  type RuleInputs,
  type RuleOutputs,
  UnknownNameError,
  UnsupportedShapeError,
} from '@frugaljs/core';
import { adafactor } from '@frugaljs/state-full';
import { ConfigReader, type Plan, type PlanOptions } from './official-class.js';
import { ownRefreshes, Recording, requireNoSubspaces } from './recording.js';
import {
  denseFactors,
  type OfficialSide,
  recordedBases,
  requireMatrix,
  resolveSide,
  singularVectors,
} from './subspaces.js';
import type { TrajectoryCase } from './trajectory-file.js';
import { plainAdamW, readTransformersAdamW, requireGroupKeys } from './transformers-adam-w.js';

/** The keys of a parameter group that GaLore's code projects. */
interface GaloreGroup {
  readonly rank: number;
  readonly gap: number;
  readonly scale: number;
  readonly side: OfficialSide;
}

/** What a class of GaLore's code does to one parameter, apart from projecting it. */
interface ClassPlan {
  readonly rule: Rule;
  readonly learningRate: number;
  readonly weightDecay: number;
  readonly decay: 'before' | 'after';
  /** The learning rate of the coming step, where the class derives it from the values of the parameter. */
  readonly rateOf?: (values: Float32Array) => number;
}

/** Expresses a class of GaLore's code, one composition per parameter because every parameter counts its own steps. */
export function planGalore(className: string, trajectory: TrajectoryCase, options: PlanOptions): readonly Plan[] {
  const config = new ConfigReader(`GaLore ${className}`, trajectory.config);
  const planClass = classOf(className, config);
  const group = readGroup(config);
  config.finish();
  if (group === null) requireNoSubspaces(trajectory);
  return trajectory.params.flatMap((parameter, i) => {
    // Without a gradient there is no step, no subspace and nothing to train.
    if (trajectory.steps.every(({ grads }) => grads[i] === null)) return [];
    const { rule, learningRate, weightDecay, decay, rateOf } = planClass();
    const common = { weightDecay, decay };
    const projects = group !== null && parameter.projectable;
    if (!projects && parameter.shape.length > 2 && className === 'Adafactor') {
      throw new UnsupportedShapeError({
        parameter: `parameter "${parameter.name}"`,
        found: `shape [${parameter.shape}]`,
        expected: 'at most two axes; the official class factors more axes in another way',
      });
    }
    const use = projects ? projected(group, trajectory, i, rule, options) : { use: rule };
    const composition = { learningRate, groups: [{ ...use, ...common }] };
    return { parameters: [i], composition, ...(rateOf === undefined ? {} : { learningRate: rateOf }) };
  });
}

/** @returns A function that makes the parts for one parameter; Adafactor's rates belong to a parameter. */
function classOf(className: string, config: ConfigReader): () => ClassPlan {
  switch (className) {
    case 'AdamW': {
      const plan = readAdamW(config);
      return () => plan;
    }
    case 'Adafactor': {
      const settings = readAdafactor(config);
      return () => planAdafactor(settings);
    }
    default:
      throw new UnknownNameError({
        parameter: 'official',
        found: `unsupported class GaLore ${className}`,
        expected: 'GaLore AdamW or GaLore Adafactor',
      });
  }
}

function readAdamW(config: ConfigReader): ClassPlan {
  const read = readTransformersAdamW(config);
  return { rule: plainAdamW(read), learningRate: read.learningRate, weightDecay: read.weightDecay, decay: 'after' };
}

/** The keys that make the official code project; without `rank` it does not. */
function readGroup(config: ConfigReader): GaloreGroup | null {
  if (config.integer('dim', 2, 0) > 2) config.refuse('dim', 'at most 2; the tensor projector is not supported');
  if (config.boolean('proj_quant', false)) config.refuse('proj_quant', 'false; quantized projectors are not supported');
  if (!config.has('rank')) return null;
  requireGroupKeys(config, ['update_proj_gap', 'scale', 'proj_type']);
  return {
    rank: config.integer('rank', 0, 0),
    gap: config.integer('update_proj_gap', 0, 1),
    scale: config.number('scale', 0, '[0, Infinity)'),
    side: config.oneOf('proj_type', 'std', ['std', 'reverse_std', 'right', 'left', 'full']),
  };
}

function projected(
  { rank, gap, scale, side }: GaloreGroup,
  trajectory: TrajectoryCase,
  index: number,
  rule: Rule,
  { recordedBases: fromRecording }: PlanOptions,
): Pick<Group, 'use' | 'lrScale'> {
  const parameter = trajectory.params[index]!;
  const shape = requireMatrix(parameter);
  const factors = denseFactors(resolveSide(side, shape), rank, 'svd', shape);
  const recording = new Recording(trajectory, index, parameter.name, ownRefreshes(trajectory, index, gap));
  const projector = fromRecording
    ? recordedBases(factors, recording, parameter.name)
    : singularVectors(factors, recording, true);
  const use = subspace({ projector, rule, combine: drop(), refresh: { every: gap }, onRefresh: 'keep' });
  return { use, lrScale: scale };
}

/** The arguments of GaLore's Adafactor. */
interface AdafactorSettings {
  readonly lr: number | null;
  readonly eps: readonly [number, number];
  readonly clipThreshold: number;
  readonly decayRate: number;
  readonly beta1: number | null;
  readonly weightDecay: number;
  readonly scaleParameter: boolean;
  readonly relativeStep: boolean;
  readonly warmupInit: boolean;
}

function readAdafactor(config: ConfigReader): AdafactorSettings {
  const settings: AdafactorSettings = {
    lr: config.numberOrNull('lr', '[0, Infinity)'),
    eps: config.pair('eps', [1e-30, 1e-3], '[0, Infinity)'),
    clipThreshold: config.number('clip_threshold', 1, '(0, Infinity)'),
    decayRate: config.number('decay_rate', -0.8, '(-Infinity, Infinity)'),
    beta1: config.numberOrNull('beta1', '[0, 1)'),
    weightDecay: config.number('weight_decay', 0, '[0, Infinity)'),
    scaleParameter: config.boolean('scale_parameter', true),
    relativeStep: config.boolean('relative_step', true),
    warmupInit: config.boolean('warmup_init', false),
  };
  const { lr, relativeStep, warmupInit } = settings;
  if (relativeStep === (lr !== null)) config.refuse('lr', 'a number without relative_step, and none with it');
  if (warmupInit && !relativeStep) config.refuse('warmup_init', 'false without relative_step');
  return settings;
}

/**
 * The parts for one parameter. The official class makes its learning rate from the step and from RMS(W) of the whole
 * parameter, which no rule inside a subspace can see; the replay computes it and sets it before every step. The decay
 * follows that rate.
 */
function planAdafactor(settings: AdafactorSettings): ClassPlan {
  const { lr, eps, clipThreshold, decayRate, beta1, weightDecay, scaleParameter, relativeStep, warmupInit } = settings;
  const options = { epsilon1: eps[0], clipThreshold, decayExponent: decayRate };
  const shared = { weightDecay, decay: 'before' } as const;
  if (lr !== null && !scaleParameter) return { ...shared, rule: adafactor({ ...options, beta1 }), learningRate: lr };

  const rates: number[] = [];
  const rateOf = (values: Float32Array): number => {
    const t = rates.length + 1;
    const step = relativeStep ? Math.min(warmupInit ? 1e-6 * t : 1e-2, 1 / Math.sqrt(t)) : lr!;
    rates.push(scaleParameter ? step * Math.max(eps[1], rootMeanSquare(values)) : step);
    return rates.at(-1)!;
  };
  const base = adafactor(options);
  const rule = beta1 === null ? base : averagingSteps(base, beta1, rates);
  return { ...shared, rule, learningRate: 0, rateOf };
}

/**
 * Momentum over steps η d instead of directions d, while η changes: the average of steps divided by the current η is
 * a ← β₁ (η_{t-1} / η_t) a + (1 - β₁) d.
 *
 * @param rates The learning rates of the steps so far, that of the coming step last.
 */
function averagingSteps(base: ExpressionRule, beta1: number, rates: readonly number[]): ExpressionRule {
  const ratioAt = (t: number): number => (t === 1 || rates[t - 2] === rates[t - 1] ? 1 : rates[t - 2]! / rates[t - 1]!);
  return expressionRule<string, string>({
    kind: 'averagingSteps',
    options: { beta1, base: { kind: base.kind, options: base.options } },
    state: shape => ({ ...base.state(shape), average: { extent: 'element' } }),
    scalars: (t, shape) => ({ ...base.scalars?.(t, shape), ratio: ratioAt(t) }),
    step: (x, shape) => {
      const next: RuleOutputs<string> = base.step(x as RuleInputs<string, string>, shape);
      const carried = x['average']!.mul(x['ratio']!).mul(beta1);
      const average = carried.add((next['direction'] as typeof carried).mul(1 - beta1));
      return { ...next, direction: average, average };
    },
  });
}

function rootMeanSquare(values: Float32Array): number {
  return Math.sqrt(values.reduce((sum, x) => sum + x * x, 0) / values.length);
}
