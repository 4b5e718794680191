// The former AdamW of Hugging Face's transformers, of which the classes of GaLore, Fira, APOLLO and FOAM are copies, each with
// its own projection: the arguments, the rule, and one composition per parameter, because every parameter counts its own
// steps.
import { biasCorrected, type Group } from '@frugaljs/composer';
import type { ExpressionRule, Rule } from '@frugaljs/core';
import { adamW } from '@frugaljs/state-full';
import type { ConfigReader, Plan } from './official-class.js';
import type { TrajectoryCase } from './trajectory-file.js';

/** The arguments that all copies take. */
export interface TransformersAdamW {
  readonly betas: readonly [number, number];
  readonly epsilon: number;
  readonly correctBias: boolean;
  readonly learningRate: number;
  readonly weightDecay: number;
}

/** @param epsilon The default of the copy. */
export function readTransformersAdamW(config: ConfigReader, epsilon = 1e-6): TransformersAdamW {
  // Says whether a warning is printed.
  config.boolean('no_deprecation_warning', false);
  return {
    betas: config.pair('betas', [0.9, 0.999], '[0, 1)'),
    epsilon: config.number('eps', epsilon, '[0, Infinity)'),
    correctBias: config.boolean('correct_bias', true),
    learningRate: config.number('lr', 1e-3, '[0, Infinity)'),
    // A negative decay is not applied.
    weightDecay: Math.max(0, config.number('weight_decay', 0, '(-Infinity, Infinity)')),
  };
}

/** The whole rule, which parameters that are not projected take. */
export function plainAdamW({ betas: [beta1, beta2], epsilon, correctBias }: TransformersAdamW): ExpressionRule {
  return adamW({ beta1, beta2, epsilon, biasCorrection: correctBias, epsilonPlacement: 'beforeCorrection' });
}

/** The rule without its correction of bias, for a subspace: there the copies correct the step that comes of it. */
export function uncorrectedAdamW({ betas: [beta1, beta2], epsilon }: TransformersAdamW): ExpressionRule {
  return adamW({ beta1, beta2, epsilon, biasCorrection: false, epsilonPlacement: 'beforeCorrection' });
}

/** The correction of bias, of the step size. */
export function withCorrection(rule: Rule, { betas: [beta1, beta2], correctBias }: TransformersAdamW): Rule {
  return correctBias ? biasCorrected(rule, { beta1, beta2 }) : rule;
}

/** The groups that take these keys have no defaults for them: without `rank` the copies do not project. */
export function requireGroupKeys(config: ConfigReader, keys: readonly string[]): void {
  const missing = keys.find(name => !config.has(name));
  if (missing !== undefined) config.refuse(missing, 'a value, because a group with a rank has no default for it');
}

/** A composition per parameter that has gradients; without one there is no step, no subspace and nothing to train. */
export function planEachParameter(
  trajectory: TrajectoryCase,
  { learningRate, weightDecay }: Pick<TransformersAdamW, 'learningRate' | 'weightDecay'>,
  use: (index: number) => Pick<Group, 'use' | 'lrScale'>,
): readonly Plan[] {
  return trajectory.params.flatMap((_, i) => {
    if (trajectory.steps.every(({ grads }) => grads[i] === null)) return [];
    const group: Group = { ...use(i), weightDecay, decay: 'after' };
    return [{ parameters: [i], composition: { learningRate, groups: [group] } }];
  });
}
