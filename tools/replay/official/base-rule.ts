import type { Rule } from '@frugaljs/core';
import { adamW, lion, sgdm } from '@frugaljs/state-full';
import type { ConfigReader } from './config-reader.js';
import { type BufferStart, officialSgd } from './sgd.js';

/** The update rule of an official class and its arguments. */
export type BaseRule = AdamWRule | LionRule | SgdRule;

interface AdamWRule {
  readonly kind: 'AdamW';
  readonly betas: readonly [number, number];
  readonly epsilon: number;
  readonly correctBias: boolean;
}

interface LionRule {
  readonly kind: 'Lion';
  readonly betas: readonly [number, number];
}

export interface SgdRule {
  readonly kind: 'SGD';
  readonly momentum: number;
  readonly dampening: number;
  readonly nesterov: boolean;
  readonly sign: boolean;
}

export const BASE_KINDS = ['AdamW', 'Lion', 'SGD'] as const;

/** Official defaults of the learning rate and the weight decay. */
export const BASE_DEFAULTS = {
  AdamW: { lr: 1e-3, weightDecay: 0.01 },
  Lion: { lr: 1e-4, weightDecay: 0 },
  SGD: { lr: 1e-3, weightDecay: 0 },
} as const;

/** Reads the arguments of FRUGAL's AdamW, Lion or SGD. */
export function readBaseRule(kind: BaseRule['kind'], config: ConfigReader): BaseRule {
  switch (kind) {
    case 'AdamW':
      // Says whether a warning is printed.
      config.boolean('no_deprecation_warning', false);
      return {
        kind,
        betas: config.pair('betas', [0.9, 0.999], '[0, 1)'),
        epsilon: config.number('eps', 1e-8, '[0, Infinity)'),
        correctBias: config.boolean('correct_bias', true),
      };
    case 'Lion':
      return { kind, betas: config.pair('betas', [0.9, 0.99], '[0, 1)') };
    case 'SGD': {
      const momentum = config.number('momentum', 0, '[0, Infinity)');
      const dampening = config.number('dampening', 0, '(-Infinity, Infinity)');
      const nesterov = config.boolean('nesterov', false);
      if (nesterov && (momentum === 0 || dampening !== 0)) {
        config.refuse('nesterov', 'false without momentum or with dampening, as the official class demands');
      }
      return { kind, momentum, dampening, nesterov, sign: config.boolean('sign_update', false) };
    }
  }
}

/**
 * The rule as frugal.js has it; what only the official code does comes from {@link officialSgd}.
 *
 * @param start What SGD's momentum buffer starts from.
 * @param coupledDecay λ of a weight decay that is added to the gradient; for SGD only.
 */
export function ruleFor(base: BaseRule, start: BufferStart, coupledDecay = 0): Rule {
  switch (base.kind) {
    case 'AdamW': {
      const { betas, epsilon, correctBias } = base;
      return adamW({ beta1: betas[0], beta2: betas[1], epsilon, biasCorrection: correctBias });
    }
    case 'Lion':
      return lion({ beta1: base.betas[0], beta2: base.betas[1] });
    case 'SGD': {
      const { momentum, dampening, nesterov, sign } = base;
      // The library takes a momentum below 1 and a dampening from 0 to 1, the official class any.
      const known = momentum < 1 && dampening >= 0 && dampening <= 1;
      if (coupledDecay === 0 && momentum === 0) return sgdm({ momentum, sign });
      if (coupledDecay === 0 && start === 'gradient' && known) {
        return sgdm({ momentum, dampening, nesterov, sign, initial: 'firstGradient' });
      }
      return officialSgd(base, start, coupledDecay);
    }
  }
}
