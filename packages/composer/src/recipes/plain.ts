import { InvalidOptionError, type Rule } from '@frugaljs/core';
import * as stateFree from '@frugaljs/state-free';
import * as stateFull from '@frugaljs/state-full';
import { type ComposedOptimizer, compose } from '../optimizer.js';
import { type ScheduleFreeOptions, scheduleFree as scheduleFreeRule } from '../wrappers.js';
import { COMMON_OPTIONS, SCHEDULE_FREE_OPTIONS } from './options.js';
import {
  type CommonOptions,
  chooseRule,
  composeSettings,
  decayOf,
  type RuleChoice,
  requireRecipeOptions,
} from './settings.js';

/** A rule on all parameters. Options are those of the rule and those of every recipe. */
function plain<T extends object>(name: string, rule: (options: T) => Rule, defaultRate: number) {
  return (options: T & CommonOptions = {} as T): ComposedOptimizer => {
    const { common, own } = splitOptions(`recipe ${name}`, options);
    requireRecipeOptions(name, common, {});
    return compose({
      ...composeSettings(name, common, defaultRate),
      groups: [{ use: rule(own as unknown as T), ...decayOf(common) }],
    });
  };
}

type Recipe<T> = (options?: T & CommonOptions) => ComposedOptimizer;

/** AdamW on all parameters; learning rate 1e-3. */
export const adamW: Recipe<stateFull.AdamWOptions> = plain('adamW', stateFull.adamW, 1e-3);
/** Lion on all parameters; learning rate 1e-4. */
export const lion: Recipe<stateFull.LionOptions> = plain('lion', stateFull.lion, 1e-4);
/** SGD with momentum on all parameters; learning rate 0.01. */
export const sgdm: Recipe<stateFull.SgdmOptions> = plain('sgdm', stateFull.sgdm, 0.01);
/** RMSprop on all parameters; learning rate 0.01. */
export const rmsprop: Recipe<stateFull.RmspropOptions> = plain('rmsprop', stateFull.rmsprop, 0.01);
/** Adafactor on all parameters; learning rate 0.01. */
export const adafactor: Recipe<stateFull.AdafactorOptions> = plain('adafactor', stateFull.adafactor, 0.01);
/** Adam-mini on all parameters; learning rate 1e-3. */
export const adamMini: Recipe<stateFull.AdamMiniOptions> = plain('adamMini', stateFull.adamMini, 1e-3);
/** Adagrad on all parameters; learning rate 0.01. */
export const adagrad: Recipe<stateFull.AdagradOptions> = plain('adagrad', stateFull.adagrad, 0.01);
/** Gradient descent on all parameters; learning rate 0.01. */
export const sgd: Recipe<object> = plain('sgd', stateFree.sgd as (options: object) => Rule, 0.01);
/** The sign of the gradient on all parameters; learning rate 1e-3. */
export const signSgd: Recipe<object> = plain('signSgd', stateFree.signSgd as (options: object) => Rule, 1e-3);

export interface ScheduleFreeRecipeOptions extends CommonOptions, Omit<ScheduleFreeOptions, 'weightDecay'> {
  /** The rule that z follows. Default rmsprop with α = 0.999 and correction of bias: AdamW without momentum. */
  readonly rule?: RuleChoice;
}

/**
 * Schedule-free training on all parameters: no schedule but a warm-up, and what is evaluated and saved is the average that
 * `withAveragedWeights()` gives. Its `weightDecay` is part of the rule's step. Learning rate 2.5e-3 by default.
 *
 * Source: Defazio et al., The Road Less Scheduled (arXiv 2405.15682).
 */
export function scheduleFree(options: ScheduleFreeRecipeOptions = {}): ComposedOptimizer {
  requireRecipeOptions('scheduleFree', options, SCHEDULE_FREE_OPTIONS);
  const { rule, beta, power, ratePower, weightDecay, ...common } = options;
  const inner =
    rule === undefined
      ? stateFull.rmsprop({ alpha: 0.999, biasCorrection: true })
      : chooseRule('scheduleFree.rule', rule);
  const given = Object.entries({ beta, power, ratePower, weightDecay }).filter(([, value]) => value !== undefined);
  return compose({
    ...composeSettings('scheduleFree', common, 2.5e-3),
    groups: [{ use: scheduleFreeRule(inner, Object.fromEntries(given)) }],
  });
}

/** Splits options into those of the recipe's rule and those every recipe has. */
function splitOptions<T extends CommonOptions>(
  owner: string,
  options: T,
): { common: CommonOptions; own: Omit<T, keyof CommonOptions> } {
  if (typeof options !== 'object' || options === null) {
    throw new InvalidOptionError({ parameter: owner, found: options, expected: 'an object of options' });
  }
  const entries = Object.entries(options);
  return {
    common: Object.fromEntries(entries.filter(([key]) => Object.hasOwn(COMMON_OPTIONS, key))) as CommonOptions,
    own: Object.fromEntries(entries.filter(([key]) => !Object.hasOwn(COMMON_OPTIONS, key))) as Omit<
      T,
      keyof CommonOptions
    >,
  };
}
