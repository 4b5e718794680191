import {
  biasCorrected,
  type ComposeOptions,
  cautious,
  compose,
  drop,
  ema,
  feedback,
  limitGrowth,
  normalized,
  residual,
  scaled,
  scaledGradient,
  scaledResidual,
  subspace,
} from '@frugaljs/composer';
import type { Rule } from '@frugaljs/core';
import {
  blockwise,
  columns,
  dct,
  given,
  identity,
  randK,
  random,
  rows,
  sketch,
  svd,
  varying,
} from '@frugaljs/projectors';
import { normalizedSgd, sgd, signSgd, sinkGd } from '@frugaljs/state-free';
import {
  adafactor,
  adaLayer,
  adamMini,
  adamW,
  factoredAdamW,
  foam,
  lion,
  oneSidedAdafactor,
  rmsprop,
  sgdm,
} from '@frugaljs/state-full';
import type { Algebra } from '@frugaljs/testing';

/**
 * The constructors of the packages, with one way to run them.
 *
 * @param readsAtOnce Where numbers cannot be read at once, events are refused.
 */
export function algebraOf(kernels: ComposeOptions['kernels'], readsAtOnce = true): Algebra {
  return {
    compose: options => compose({ ...options, kernels }),
    subspace,
    drop,
    residual,
    rules: { adamW, lion, sgdm, sgd, signSgd, adaLayer, adamMini, foam },
    combines: { scaledResidual, scaledGradient, feedback },
    wrappers: { scaled, limitGrowth, biasCorrected, ema, cautious, normalized },
    projectors: {
      rows,
      columns,
      randK,
      blockwise,
      svd,
      random,
      dct,
      sketch,
      given,
      identity: () => identity(),
      varying,
    },
    ...(readsAtOnce ? { events: EVENTS } : {}),
  };
}

const EVENTS: Algebra['events'] & object = {
  similarity: options => ({ measure: 'similarity', ...options }),
  energy: options => ({ measure: 'energy', ...options }),
};

/** Rules whose kernels have something of their own: most reduce along rows, columns or everything. */
export const REDUCING_RULES = {
  normalizedSgd: () => normalizedSgd({ per: 'row' }),
  sinkGd,
  adafactor: () => adafactor({ beta1: 0.9 }),
  oneSidedAdafactor: () => oneSidedAdafactor({ per: 'column' }),
  adaLayer: () => adaLayer({ per: 'column' }),
  factoredAdamW,
  foam: () => foam({ level: 2 }),
  rmsprop: () => rmsprop({ centered: true, momentum: 0.5, epsilon: 1e-3 }),
} satisfies Readonly<Record<string, () => Rule>>;
