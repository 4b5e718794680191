// The class of LDAdam's code as compositions, one per parameter.
import type { Group } from '@frugaljs/composer';
import { type Rule, UnknownNameError } from '@frugaljs/core';
import { adamW, ldAdam } from '@frugaljs/state-full';
import { ConfigReader, type Plan } from './official-class.js';
import { Recording } from './recording.js';
import { denseFactors, requireMatrix } from './subspaces.js';
import { type TrajectoryCase, TrajectoryFormatError } from './trajectory-file.js';

interface LdAdamConfig {
  readonly lr: number;
  readonly betas: readonly [number, number];
  readonly epsilon: number;
  readonly weightDecay: number;
  readonly rank: number;
  readonly interpolation: number;
  readonly side: 'std' | 'reverse_std' | 'left' | 'right';
  readonly feedback: boolean;
}

/**
 * Expresses `LDAdamW`. Its basis follows from the gradients, up to the signs of its vectors, which change no step: what a
 * file holds of it is not needed.
 */
export function planLdAdam(className: string, trajectory: TrajectoryCase): readonly Plan[] {
  if (className !== 'LDAdamW') {
    const found = `unsupported class LDAdam ${className}`;
    throw new UnknownNameError({ parameter: 'official', found, expected: 'LDAdam LDAdamW' });
  }
  const reader = new ConfigReader('LDAdam LDAdamW', trajectory.config);
  const config = readConfig(reader);
  requireGradients(trajectory);
  const { lr: learningRate, weightDecay } = config;
  return trajectory.params.map(({ projectable }, i) => {
    const use = projectable ? projected(config, reader, trajectory, i) : plain(config);
    const group: Group = { use, weightDecay, decay: 'before' };
    return { parameters: [i], composition: { learningRate, groups: [group] } };
  });
}

function readConfig(config: ConfigReader): LdAdamConfig {
  const read: LdAdamConfig = {
    lr: config.number('lr', 1e-3, '(0, Infinity)'),
    betas: config.pair('betas', [0.908, 0.99], '[0, 1)'),
    epsilon: config.number('eps', 1e-8, '(0, Infinity)'),
    weightDecay: config.number('weight_decay', 0, '[0, Infinity)'),
    rank: config.integer('rank', 16, 1),
    interpolation: config.number('rho', 0.908, '[0, 1)'),
    side: config.oneOf('proj_type', 'std', ['std', 'reverse_std', 'left', 'right']),
    feedback: config.boolean('error_feedback', true),
  };
  const method = config.oneOf('proj_method', 'power_iteration', ['power_iteration', 'svd', 'svd_lowrank']);
  if (method !== 'power_iteration') config.refuse('proj_method', 'power_iteration; the others are not supported');
  config.finish();
  return read;
}

function plain({ betas: [beta1, beta2], epsilon }: LdAdamConfig): Rule {
  return adamW({ beta1, beta2, epsilon });
}

function projected(config: LdAdamConfig, reader: ConfigReader, trajectory: TrajectoryCase, index: number): Rule {
  const { betas, epsilon, rank, interpolation, feedback } = config;
  const parameter = trajectory.params[index]!;
  const [m, n] = requireMatrix(parameter);
  if (rank > Math.min(m, n)) reader.refuse('rank', `at most ${Math.min(m, n)} for the shape [${m},${n}]`);
  // Of a square the official `std` projects the rows, unlike that of others.
  const side = config.side === 'std' ? (m > n ? 'right' : 'left') : config.side;
  const resolved = side === 'reverse_std' ? (m < n ? 'right' : 'left') : side;
  const factors = denseFactors(resolved, rank, 'svd', [m, n]);
  // It moves at every step.
  const everyStep = trajectory.steps.map((_, k) => k);
  const recording = new Recording(trajectory, index, parameter.name, everyStep);
  for (const k of everyStep) {
    if (trajectory.steps[k]!.subspace[index] !== null) recording.factorsAt(k, resolved, factors.shapes);
  }
  const [beta1, beta2] = betas;
  return ldAdam({ beta1, beta2, epsilon, rank, interpolation, feedback, side: resolved });
}

/** One count of steps serves all parameters, and a gradient that stays away would leave its error to be one. */
function requireGradients({ params, steps }: TrajectoryCase): void {
  for (const [k, { grads }] of steps.entries()) {
    const without = grads.indexOf(null);
    if (without < 0) continue;
    const where = `steps[${k}].grads of "${params[without]!.name}"`;
    throw new TrajectoryFormatError(where, 'a gradient at every step, which the official class needs', null);
  }
}
