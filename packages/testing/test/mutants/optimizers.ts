import { type Algebra, checkKernels, checkOptimizer } from '@frugaljs/testing';
import { algebraOf } from '../../../../tools/test-support/algebra.js';
import type { Mutant } from './mutant.js';

const right = algebraOf('reference');
const [combines, wrappers, events] = [right.combines!, right.wrappers!, right.events!];

function broken(fault: string, law: string, change: Partial<Algebra>): Mutant {
  return { fault, law, check: () => checkOptimizer({ ...right, ...change }, { bail: true }) };
}

const withRefresh = (change: (every: number) => number): Partial<Algebra> => ({
  subspace: options => right.subspace({ ...options, refresh: { every: change(options.refresh?.every ?? 200) } }),
});

export const OPTIMIZER_MUTANTS: readonly Mutant[] = [
  broken(
    'refreshed at every step',
    'refresh at 0, T, 2T …',
    withRefresh(() => 1),
  ),
  broken(
    'never refreshed',
    'refresh at 0, T, 2T …',
    withRefresh(() => Number.POSITIVE_INFINITY),
  ),
  broken(
    'refreshed one step late',
    'refresh at 0, T, 2T …',
    withRefresh(every => every + 1),
  ),
  broken('half of the density that a schedule says', 'a constant density is the density', {
    projectors: {
      ...right.projectors,
      varying: (create, density) => right.projectors.varying!(share => create(share / 2), density),
    },
  }),
  broken('an event that shows too easily', 'an event that never happens', {
    events: { ...events, energy: options => events.energy({ ...options, below: 1 }) },
  }),
  broken('one similarity more before intervals double', 'intervals double while bases are alike', {
    events: { ...events, similarity: ({ last, ...options }) => events.similarity({ ...options, last: last + 1 }) },
  }),
  broken('bases taken for alike that are not', 'intervals double while bases are alike', {
    events: { ...events, similarity: options => events.similarity({ ...options, atLeast: 0 }) },
  }),
  broken('a gradient that left noticed an update late', 'a gradient that leaves the subspace', {
    events: { ...events, energy: options => events.energy({ ...options, least: options.least + 1 }) },
  }),
  broken('state kept on reset', 'FRUGAL Algorithm 4 in plain numbers', {
    subspace: options =>
      right.subspace({
        ...options,
        onRefresh: options.onRefresh === 'reset' ? 'keep' : (options.onRefresh ?? 'reset'),
      }),
  }),
  broken('momentum of inactive coordinates kept', 'FRUGAL Algorithm 2 in plain numbers', {
    subspace: options =>
      right.subspace({
        ...options,
        onRefresh: options.onRefresh === 'transport' ? 'keep' : (options.onRefresh ?? 'reset'),
      }),
  }),
  broken('state reset instead of kept', 'GaLore in plain numbers', {
    subspace: options =>
      right.subspace({
        ...options,
        onRefresh: options.onRefresh === 'keep' ? 'reset' : (options.onRefresh ?? 'reset'),
      }),
  }),
  broken('decay after the step instead of before', 'decay order', {
    compose: options =>
      right.compose({ ...options, groups: options.groups.map(group => ({ ...group, decay: 'after' as const })) }),
  }),
  broken('scale of the learning rate applied to the decay', 'decay order', {
    compose: options =>
      right.compose({
        ...options,
        groups: options.groups.map(group => ({
          ...group,
          weightDecay: (group.weightDecay ?? 0) * (group.lrScale ?? 1),
        })),
      }),
  }),
  broken('scale of the residual forgotten', 'FRUGAL Algorithm 4 in plain numbers', {
    residual: (rule, options) => right.residual(rule, { ...options, scale: 1 }),
  }),
  broken('residual dropped', 'FRUGAL Algorithm 4 in plain numbers', { residual: () => right.drop() }),
  broken('AdaLayer that forgets its momentum', 'blocks of one entry are Adam', {
    rules: { ...right.rules, adaLayer: options => right.rules.adaLayer!({ ...options, beta1: 0 }) },
  }),
  broken('Adam-mini with the blocks of the other axis', 'blocks of one entry are Adam', {
    rules: {
      ...right.rules,
      adamMini: options =>
        right.rules.adamMini!({ ...options, block: options?.block === 'row' ? 'column' : (options?.block ?? 'row') }),
    },
  }),
  broken('a scaled residual that halves the step of the rule', 'a scaled residual of nothing is the rule', {
    combines: { ...combines, scaledResidual: options => combines.scaledResidual({ ...options, scale: 0.5 }) },
  }),
  broken('feedback of half of what was applied', 'feedback of nothing is the rule', {
    combines: { ...combines, feedback: () => ({ ...combines.feedback(), share: 0.5 }) },
  }),
  broken('a gradient scaled by a tenth too much', 'measured SGD is SGD', {
    combines: { ...combines, scaledGradient: options => combines.scaledGradient({ ...options, scale: 1.1 }) },
  }),
  broken('one factor for all channels', 'a scaled entry is the step of the rule', {
    combines: { ...combines, scaledGradient: options => combines.scaledGradient({ ...options, per: 'tensor' }) },
  }),
  broken('the share of the residual forgotten', 'the whole gradient as a residual is a scaled gradient', {
    combines: { ...combines, scaledResidual: options => combines.scaledResidual({ ...options, share: 1 }) },
  }),
  broken('a limiter that always limits', 'neutral wrappers change nothing', {
    wrappers: { ...wrappers, limitGrowth: rule => wrappers.limitGrowth(rule, { factor: 1.01 }) },
  }),
  broken('the root of a scale', 'a scaled rule is a scaled rate', {
    wrappers: { ...wrappers, scaled: (rule, factor) => wrappers.scaled(rule, Math.sqrt(factor)) },
  }),
  broken('an average that forgets faster', 'an average of gradients is momentum', {
    wrappers: { ...wrappers, ema: (rule, { beta = 0.9 } = {}) => wrappers.ema(rule, { beta: beta * 0.9 }) },
  }),
  broken('a cautious step that makes up for too much', 'a cautious gradient is the gradient', {
    wrappers: { ...wrappers, cautious: rule => wrappers.scaled(wrappers.cautious(rule), 1.1) },
  }),
  broken('saved state ignored', 'resume', {
    compose: options => Object.assign(right.compose(options), { setWeights: async () => {} }),
  }),
  broken('gradients changed in place', 'gradients untouched, nothing leaks', {
    compose: options => {
      const optimizer = right.compose(options);
      const apply = optimizer.applyGradients.bind(optimizer);
      return Object.assign(optimizer, {
        applyGradients: (gradients: Parameters<typeof apply>[0]) => {
          apply(gradients);
          for (const g of Object.values(gradients)) g.dataSync()[0] = 3;
        },
      });
    },
  }),
  {
    fault: 'kernels with another learning rate',
    law: 'same steps on whole parameters',
    check: () =>
      checkKernels(
        right,
        { ...right, compose: options => right.compose({ ...options, learningRate: options.learningRate * 1.001 }) },
        { bail: true },
      ),
  },
  {
    fault: 'kernels that forget to split',
    law: 'same steps in coordinate splits',
    check: () =>
      checkKernels(
        right,
        { ...right, subspace: options => right.subspace({ ...options, combine: right.drop() }) },
        { bail: true },
      ),
  },
];
