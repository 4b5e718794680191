import { drop, type Group, subspace } from '@frugaljs/composer';
import { type Rule, UnknownNameError, UnsupportedShapeError } from '@frugaljs/core';
import { adamW } from '@frugaljs/state-full';
import type { Plan, PlanOptions } from '../plan.js';
import { ownRefreshes } from '../refresh-clock.js';
import { recordedBases, singularVectors } from '../subspaces/dense.js';
import { Recording, requireNoSubspaces } from '../subspaces/recording.js';
import { denseFactors, type OfficialSide, requireMatrix, resolveSide } from '../subspaces/side.js';
import type { TrajectoryCase } from '../trajectory-file.js';
import { planAdafactor, readAdafactor } from './adafactor.js';
import type { ClassPlan } from './class-plan.js';
import { ConfigReader } from './config-reader.js';

/** The keys of a parameter group that GaLore's code projects. */
interface GaloreGroup {
  readonly rank: number;
  readonly gap: number;
  readonly scale: number;
  readonly side: OfficialSide;
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
  config.boolean('no_deprecation_warning', false);
  const [beta1, beta2] = config.pair('betas', [0.9, 0.999], '[0, 1)');
  const epsilon = config.number('eps', 1e-6, '[0, Infinity)');
  const biasCorrection = config.boolean('correct_bias', true);
  return {
    rule: adamW({ beta1, beta2, epsilon, biasCorrection, epsilonPlacement: 'beforeCorrection' }),
    learningRate: config.number('lr', 1e-3, '[0, Infinity)'),
    // A negative decay is not applied by this class.
    weightDecay: Math.max(0, config.number('weight_decay', 0, '(-Infinity, Infinity)')),
    decay: 'after',
  };
}

/** The keys that make the official code project; without `rank` it does not. */
function readGroup(config: ConfigReader): GaloreGroup | null {
  if (config.integer('dim', 2, 0) > 2) config.refuse('dim', 'at most 2; the tensor projector is not supported');
  if (config.boolean('proj_quant', false)) config.refuse('proj_quant', 'false; quantized projectors are not supported');
  if (!config.has('rank')) return null;
  for (const name of ['update_proj_gap', 'scale', 'proj_type']) {
    if (!config.has(name)) config.refuse(name, 'a value, because a group with a rank has no default for it');
  }
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
