import {
  InvalidOptionError,
  requireBoolean,
  requireInteger,
  requireKnownKeys,
  requireNumber,
  requireOneOf,
  type Schedule,
} from '@frugaljs/core';
import { callAdvice } from '../require-part.js';
import { requireMatch } from './matching.js';
import type { ComposeOptions, Group } from './options.js';

const COMPOSE_KEYS = [
  'learningRate',
  'groups',
  'clip',
  'accumulate',
  'seed',
  'onNonFinite',
  'onMissingGradient',
  'kernels',
];
const GROUP_KEYS = ['match', 'use', 'frozen', 'lrScale', 'weightDecay', 'decay', 'decayInactive', 'optional'];

/** Checks everything about a composition that can be known before it meets a variable. */
export function validateOptions(options: ComposeOptions): void {
  requireKnownKeys('compose', options, COMPOSE_KEYS);
  requireLearningRate(options.learningRate);
  if (!Array.isArray(options.groups) || options.groups.length === 0) {
    throw new InvalidOptionError({
      parameter: 'compose.groups',
      found: options.groups,
      expected: 'at least one group, such as { use: adamW() }',
    });
  }
  (options.groups as readonly Group[]).forEach(requireGroup);
  requireInteger('compose.accumulate', options.accumulate ?? 1, 1);
  requireNumber('compose.seed', options.seed ?? 0, '(-Infinity, Infinity)');
  requireOneOf('compose.onNonFinite', options.onNonFinite ?? 'throw', ['throw', 'skip', 'ignore']);
  requireOneOf('compose.kernels', options.kernels ?? 'auto', ['auto', 'reference']);
  requireOneOf('compose.onMissingGradient', options.onMissingGradient ?? 'throw', ['throw', 'skip']);
  if (options.clip !== undefined) {
    requireKnownKeys('compose.clip', options.clip, ['value', 'globalNorm']);
    if (options.clip.value !== undefined) requireNumber('compose.clip.value', options.clip.value, '(0, Infinity)');
    const { globalNorm } = options.clip;
    if (globalNorm !== undefined) requireNumber('compose.clip.globalNorm', globalNorm, '(0, Infinity)');
  }
}

function requireDescribed({ kind, options }: Schedule): void {
  if (typeof kind === 'string' && typeof options === 'object' && options !== null) return;
  throw new InvalidOptionError({
    parameter: 'compose.learningRate',
    found: `a schedule with kind ${kind} and options ${options}`,
    expected: 'kind: a name, options: JSON, which checkpoints hold, and at: update => rate',
  });
}

/**
 * The rate that a schedule gives for an update.
 *
 * @throws InvalidOptionError for NaN, Infinity and what is below 0, before it reaches a weight.
 */
export function rateAt(schedule: Schedule, update: number): number {
  const rate = schedule.at(update);
  if (typeof rate === 'number' && rate >= 0 && Number.isFinite(rate)) return rate;
  throw new InvalidOptionError({
    parameter: `schedule ${schedule.kind}, update ${update}`,
    found: rate,
    expected: 'a number in [0, Infinity)',
  });
}

/** Checks a learning rate given as a number or a schedule. */
export function requireLearningRate(learningRate: ComposeOptions['learningRate']): void {
  if (typeof learningRate === 'object' && learningRate !== null && typeof learningRate.at === 'function') {
    requireDescribed(learningRate);
    return;
  }
  if (typeof learningRate === 'number' && learningRate >= 0 && Number.isFinite(learningRate)) return;
  throw new InvalidOptionError({
    parameter: 'compose.learningRate',
    found: learningRate,
    expected: 'a number in [0, Infinity) or a schedule such as cosine({ peak: 1e-3, steps: 1000 })',
    ...(typeof learningRate === 'function'
      ? { advice: 'Call a schedule of @frugaljs/core; one of your own is { kind, options, at: update => rate }.' }
      : {}),
  });
}

function requireGroup(group: Group, i: number, groups: readonly Group[]): void {
  requireKnownKeys(`groups[${i}]`, group, GROUP_KEYS);
  if (group.match !== undefined) requireMatch(`groups[${i}].match`, group.match);
  for (const flag of ['frozen', 'decayInactive', 'optional'] as const) {
    if (group[flag] !== undefined) requireBoolean(`groups[${i}].${flag}`, group[flag]);
  }
  if (group.match === undefined && i < groups.length - 1) {
    throw new InvalidOptionError({
      parameter: `groups[${i}].match`,
      found: undefined,
      expected: 'a match, since groups follow that would never be reached',
      advice: 'Put the group without a match last.',
    });
  }
  if (group.frozen ? group.use !== undefined : group.use?.type === undefined) {
    throw new InvalidOptionError({
      parameter: `groups[${i}].use`,
      found: group.use,
      expected: group.frozen ? 'no rule in a frozen group' : 'a rule such as adamW(), or frozen: true',
      ...(typeof group.use === 'function' ? { advice: callAdvice(group.use) } : {}),
    });
  }
  requireNumber(`groups[${i}].lrScale`, group.lrScale ?? 1, '[0, Infinity)');
  requireNumber(`groups[${i}].weightDecay`, group.weightDecay ?? 0, '[0, Infinity)');
  requireOneOf(`groups[${i}].decay`, group.decay ?? 'before', ['before', 'after']);
}
