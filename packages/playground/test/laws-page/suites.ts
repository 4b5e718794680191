import { tensorDevice } from '@frugaljs/backend-webgpu';
import { checkKernels, checkOptimizer, type Report, type RunOptions } from '@frugaljs/testing';
import { backend } from '@tensorflow/tfjs-core';
import { algebraOf, REDUCING_RULES } from '../../../../tools/test-support/algebra.js';
import { LAW_SUITES } from '../../../../tools/test-support/law-suites.js';

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

/** Every law suite on everything built in, by name; the fused kernels against the reference first. */
export const SUITES: Readonly<Record<string, Suite>> = {
  kernels: options => checkKernels(algebraOf('reference'), algebraOf('auto'), { rules: REDUCING_RULES, ...options }),
  'optimizers with fused kernels': options => checkOptimizer(algebraOf('auto', false), options),
  ...Object.fromEntries(
    LAW_SUITES.filter(({ kind, reads }) => kind !== 'optimizer' && !reads).map(
      ({ kind, name, check }): [string, Suite] => {
        const suite = `${kind} ${name}`;
        const leaveOut = (): RunOptions['leaveOut'] =>
          (tensorDevice(backend()).isSoftware ? SLOW[suite] : undefined) ?? {};
        return [suite, options => check({ ...options, leaveOut: leaveOut() })];
      },
    ),
  ),
};
