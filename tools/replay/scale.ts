// The optimizer of SCALE's code as compositions, one per parameter.
import type { Group } from '@frugaljs/composer';
import { type ExpressionRule, select, UnknownNameError, wrapRule } from '@frugaljs/core';
import { sgd } from '@frugaljs/state-free';
import { adamW, sgdm } from '@frugaljs/state-full';
import { ConfigReader, type Plan } from './official-class.js';
import { requireNoSubspaces } from './recording.js';
import { requireMatrix } from './subspaces.js';
import type { TrajectoryCase, TrajectoryParameter } from './trajectory-file.js';

interface ScaleConfig {
  readonly lr: number;
  readonly weightDecay: number;
  readonly momentum: number;
  readonly adamLr: number;
  readonly adamBetas: readonly [number, number];
  readonly adamEpsilon: number;
}

/**
 * Expresses SCALE: matrices step by gradients with rows of size 1, the last layer by such a momentum, and vectors by
 * AdamW. The official class is told which parameters are which; a file tells by `projectable`, and by the names that the
 * official scripts go by, `lm_head` for the last layer and `embed_tokens` for columns in the place of rows.
 */
export function planScale(className: string, trajectory: TrajectoryCase): readonly Plan[] {
  if (className !== 'SCALE') {
    const found = `unsupported class SCALE ${className}`;
    throw new UnknownNameError({ parameter: 'official', found, expected: 'SCALE SCALE' });
  }
  const config = readConfig(new ConfigReader('SCALE SCALE', trajectory.config));
  requireNoSubspaces(trajectory);
  return trajectory.params.flatMap((parameter, i) => {
    if (trajectory.steps.every(({ grads }) => grads[i] === null)) return [];
    const { learningRate, use } = parameter.projectable ? matrixRule(parameter, config) : vectorRule(config);
    const group: Group = { use, weightDecay: config.weightDecay, decay: 'before' };
    return [{ parameters: [i], composition: { learningRate, groups: [group] } }];
  });
}

function readConfig(config: ConfigReader): ScaleConfig {
  const lr = config.number('lr', 1e-4, '[0, Infinity)');
  const read = {
    lr,
    weightDecay: config.number('wd', 0, '[0, Infinity)'),
    momentum: config.number('momentum', 0.9, '[0, 1)'),
    adamLr: config.numberOrNull('adam_lr', '[0, Infinity)') ?? lr,
    adamBetas: config.pair('adamw_betas', [0.9, 0.999], '[0, 1)'),
    adamEpsilon: config.number('adamw_eps', 1e-8, '[0, Infinity)'),
  };
  if (lr === 0) config.refuse('lr', 'a number above 0, by which the official class divides');
  // Prints names.
  config.boolean('debug', false);
  config.finish();
  return read;
}

/** What a parameter steps by, and how far. */
interface Steps {
  readonly learningRate: number;
  readonly use: ExpressionRule;
}

function vectorRule({ adamLr, adamBetas: [beta1, beta2], adamEpsilon: epsilon }: ScaleConfig): Steps {
  return { learningRate: adamLr, use: adamW({ beta1, beta2, epsilon, epsilonPlacement: 'beforeCorrection' }) };
}

function matrixRule(parameter: TrajectoryParameter, { lr, momentum }: ScaleConfig): Steps {
  requireMatrix(parameter);
  const per = parameter.name.includes('embed_tokens') ? 'column' : 'row';
  const rule = parameter.name.includes('lm_head') ? sgdm({ momentum, convention: 'ema' }) : sgd();
  return { learningRate: lr, use: withSize1(rule, per) };
}

/**
 * The direction of a rule, each row or column divided by max(RMS, 1e-8). The library's `normalizedSgd` adds its ε to the
 * RMS, which is another number where gradients are small.
 */
function withSize1(rule: ExpressionRule, per: 'row' | 'column'): ExpressionRule {
  return wrapRule(rule, {
    kind: 'withSize1',
    options: { per },
    step: ({ direction }) => {
      const size = direction.square().mean(per).sqrt();
      return { direction: direction.div(select(size.less(1e-8), 1e-8, size)) };
    },
  });
}
