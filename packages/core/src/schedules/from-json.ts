import { UnknownNameError } from '../errors.js';
import type { Described } from '../json.js';
import { constant } from './constant.js';
import { type CosineOptions, cosine } from './cosine.js';
import { joined } from './joined.js';
import { type LinearOptions, linear } from './linear.js';
import type { Schedule } from './schedule.js';
import { type WarmupCosineOptions, warmupCosine } from './warmup-cosine.js';
import { type WarmupStableDecayOptions, warmupStableDecay } from './warmup-stable-decay.js';

const FACTORIES: Readonly<Record<string, (options: Described['options']) => Schedule>> = {
  constant: options => constant(options['value'] as number),
  linear: options => linear(options as unknown as LinearOptions),
  cosine: options => cosine(options as unknown as CosineOptions),
  warmupCosine: options => warmupCosine(options as unknown as WarmupCosineOptions),
  warmupStableDecay: options => warmupStableDecay(options as unknown as WarmupStableDecayOptions),
  joined: options =>
    joined(
      (options['parts'] as unknown as readonly { schedule: Described; steps?: number }[]).map(part => ({
        schedule: scheduleFromJson(part.schedule),
        steps: part.steps ?? Number.POSITIVE_INFINITY,
      })),
    ),
};

/** Rebuilds a schedule from its description; a number is a constant. */
export function scheduleFromJson(json: number | Described): Schedule {
  if (typeof json === 'number') return constant(json);
  const factory = FACTORIES[json.kind];
  if (factory === undefined) {
    throw new UnknownNameError({
      parameter: 'schedule.kind',
      found: json.kind,
      expected: `one of ${Object.keys(FACTORIES).join(', ')}`,
    });
  }
  return factory(json.options);
}
