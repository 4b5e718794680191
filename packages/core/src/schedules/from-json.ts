import { InvalidOptionError, UnknownNameError } from '../errors.js';
import type { Described } from '../json.js';
import { didYouMean, requireKnownKeys } from '../options.js';
import { constant } from './constant.js';
import { type CosineOptions, cosine } from './cosine.js';
import { type JoinedPart, joined } from './joined.js';
import { type LinearOptions, linear } from './linear.js';
import type { Schedule } from './schedule.js';
import { type WarmupCosineOptions, warmupCosine } from './warmup-cosine.js';
import { type WarmupStableDecayOptions, warmupStableDecay } from './warmup-stable-decay.js';

type Factory = (options: Described['options']) => Schedule;

// The factories check what they are given; the casts only say that JSON has no types.
const FACTORIES: ReadonlyMap<string, Factory> = new Map<string, Factory>([
  ['constant', constantFromJson],
  ['linear', options => linear(options as unknown as LinearOptions)],
  ['cosine', options => cosine(options as unknown as CosineOptions)],
  ['warmupCosine', options => warmupCosine(options as unknown as WarmupCosineOptions)],
  ['warmupStableDecay', options => warmupStableDecay(options as unknown as WarmupStableDecayOptions)],
  ['joined', options => joined(partsFromJson(options['parts']))],
]);

const registered = new Map<string, Factory>();

/**
 * Makes a schedule of your own loadable from JSON: the factory must give back, for the `options` of the schedule, the
 * same schedule. Built-in kinds cannot be replaced.
 */
export function registerSchedule(kind: string, factory: Factory): void {
  if (FACTORIES.has(kind)) {
    throw new UnknownNameError({
      parameter: 'register schedule',
      found: kind,
      expected: 'a kind that is not built in',
      advice: 'Choose another kind for it.',
    });
  }
  registered.set(kind, factory);
}

/**
 * Rebuilds a schedule from its description; a number is a constant.
 *
 * @throws UnknownNameError when no schedule is called so.
 * @throws InvalidOptionError when an option is missing, misspelled or out of range.
 */
export function scheduleFromJson(json: number | Described): Schedule {
  if (typeof json === 'number') return constant(json);
  if (!isObject(json) || !isObject(json.options)) {
    throw new InvalidOptionError({ parameter: 'schedule', found: json, expected: 'a number or { kind, options }' });
  }
  const factory = FACTORIES.get(json.kind) ?? registered.get(json.kind);
  if (factory === undefined) {
    const known = [...FACTORIES.keys(), ...registered.keys()];
    throw new UnknownNameError({
      parameter: 'schedule.kind',
      found: json.kind,
      expected: `one of ${known.join(', ')}`,
      ...(didYouMean(json.kind, known) ?? {
        advice: 'Register a schedule of your own with registerSchedule before loading it.',
      }),
    });
  }
  return factory(json.options);
}

function constantFromJson(options: Described['options']): Schedule {
  requireKnownKeys('constant', options, ['value']);
  return constant(options['value'] as number);
}

function partsFromJson(parts: unknown): JoinedPart[] {
  if (!Array.isArray(parts)) {
    throw new InvalidOptionError({
      parameter: 'joined.parts',
      found: parts,
      expected: 'an array of { schedule, steps }',
    });
  }
  return parts.map((part: unknown, i) => {
    const parameter = `joined.parts[${i}]`;
    if (!isObject(part)) {
      throw new InvalidOptionError({ parameter, found: part, expected: 'an object { schedule, steps }' });
    }
    requireKnownKeys(parameter, part, ['schedule', 'steps']);
    return { schedule: scheduleFromJson(part['schedule'] as number | Described), steps: part['steps'] as number };
  });
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
