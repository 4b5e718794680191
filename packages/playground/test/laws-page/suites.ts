import { tensorDevice } from '@frugaljs/backend-webgpu';
import { normalizedSgd, sinkGd } from '@frugaljs/state-free';
import { adafactor, adaLayer, factoredAdamW, oneSidedAdafactor, rmsprop } from '@frugaljs/state-full';
import {
  checkCombine,
  checkKernels,
  checkOptimizer,
  checkProjector,
  checkRule,
  type Report,
  type RunOptions,
} from '@frugaljs/testing';
import { backend } from '@tensorflow/tfjs-core';
import { algebraOf } from '../../../composer/test/algebra.js';
import { COMBINE_CLAIMS } from '../../../composer/test/claims.js';
import { PROJECTOR_CLAIMS } from '../../../projectors/test/claims.js';
import { STATE_FREE_CLAIMS } from '../../../state-free/test/claims.js';
import { STATE_FULL_CLAIMS } from '../../../state-full/test/claims.js';

type Suite = (options: RunOptions) => Promise<Report>;

const minutes = 'no graphics card: thousands of matrix products take minutes in software';

/** Laws that take too long on an adapter in software, by suite. */
const SLOW: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  'projector random': { unbiased: minutes, 'energy under noise': minutes },
  'projector svd, randomized': { 'better than chance': minutes, 'large parameters': minutes },
};

/**
 * Suites of nothing but matrix products, which take more than ten seconds each in software. What they show of tfjs's
 * operations they show in Node as well.
 */
export const DEAR: readonly string[] = ['projector svd', 'projector random', 'projector dct', 'rule muon'];

/** Rules whose kernels reduce along rows, columns or everything. */
const REDUCING = {
  normalizedSgd: () => normalizedSgd({ per: 'row' }),
  sinkGd,
  adafactor: () => adafactor({ beta1: 0.9 }),
  oneSidedAdafactor: () => oneSidedAdafactor({ per: 'column' }),
  adaLayer: () => adaLayer({ per: 'column' }),
  factoredAdamW,
  rmsprop: () => rmsprop({ centered: true, momentum: 0.5, epsilon: 1e-3 }),
};

/** Every law suite on everything built in, by name; the fused kernels against the reference first. */
export const SUITES: Readonly<Record<string, Suite>> = {
  kernels: options => checkKernels(algebraOf('reference'), algebraOf('auto'), { rules: REDUCING, ...options }),
  'optimizers with fused kernels': options => checkOptimizer(algebraOf('auto'), options),
  ...suites('projector', Object.entries(PROJECTOR_CLAIMS), ({ factory, claims }, options) =>
    checkProjector(factory, { ...claims, ...options }),
  ),
  ...suites(
    'rule',
    [...STATE_FULL_CLAIMS, ...STATE_FREE_CLAIMS].map(each => [each.kind, each]),
    ({ factory, claims }, options) => checkRule(factory, { ...claims, ...options }),
  ),
  ...suites('combine', Object.entries(COMBINE_CLAIMS), ({ factory, claims }, options) =>
    checkCombine(factory, { ...claims, ...options }),
  ),
};

function suites<Claimed>(
  what: string,
  claimed: readonly [name: string, claimed: Claimed][],
  check: (claimed: Claimed, options: RunOptions & { readonly name: string }) => Promise<Report>,
): Record<string, Suite> {
  return Object.fromEntries(
    claimed.map(([name, each]) => {
      const suite = `${what} ${name}`;
      const leaveOut = (): RunOptions['leaveOut'] =>
        (tensorDevice(backend()).isSoftware ? SLOW[suite] : undefined) ?? {};
      return [suite, options => check(each, { ...options, leaveOut: leaveOut(), name })];
    }),
  );
}
