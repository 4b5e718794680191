import { type ExpressionRule, expressionRule, type RuleInputs, type RuleOutputs } from '@frugaljs/core';
import { adafactor } from '@frugaljs/state-full';
import type { ClassPlan } from './class-plan.js';
import type { ConfigReader } from './config-reader.js';

/** The arguments of GaLore's Adafactor. */
export interface AdafactorSettings {
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

export function readAdafactor(config: ConfigReader): AdafactorSettings {
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
export function planAdafactor(settings: AdafactorSettings): ClassPlan {
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
