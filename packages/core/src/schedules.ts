import { InvalidOptionError, UnknownNameError } from './errors.js';
import {
  type Described,
  didYouMean,
  requireInteger,
  requireKnownKeys,
  requireNumber,
  requireOneOf,
  valueFound,
} from './options.js';
import { cosTurns } from './random/keys.js';

/**
 * A learning rate as a function of the number of updates already made: `at(0)` is the rate of the first update. Pure,
 * in float64, and described by JSON like every other part.
 */
export interface Schedule extends Described {
  at(step: number): number;
  /** A step at which it is largest, for those who plan for the largest. */
  readonly largestAt?: number;
}

/**
 * Checks that something is a schedule, whole: one without `kind` and `options` could not be saved.
 *
 * @throws InvalidOptionError naming the parameter.
 */
export function requireSchedule(parameter: string, schedule: unknown): asserts schedule is Schedule {
  if (typeof schedule !== 'object' || schedule === null || typeof (schedule as Schedule).at !== 'function') {
    const expected = 'a schedule such as cosine({ peak: 1e-3, steps: 1000 }); for a number, constant(1e-3)';
    throw new InvalidOptionError({ parameter, found: valueFound(schedule), expected });
  }
  const { kind, options } = schedule as Schedule;
  if (typeof kind === 'string' && typeof options === 'object' && options !== null) return;
  throw new InvalidOptionError({
    parameter,
    found: `a schedule with kind ${kind} and options ${options}`,
    expected: 'kind: a name, options: JSON, which checkpoints hold, and at: update => rate',
  });
}

/** The same learning rate at every step. */
export function constant(value: number): Schedule {
  requireNumber('constant.value', value, '[0, Infinity)');
  return { kind: 'constant', options: { value }, at: () => value, largestAt: 0 };
}

export interface LinearOptions {
  readonly from: number;
  readonly to: number;
  /** Updates from `from` to `to`. */
  readonly steps: number;
}

/** (1 - p) · from + p · to with p = min(k / steps, 1): `from` at first, and exactly `to` from update `steps` on. */
export function linear(options: LinearOptions): Schedule {
  requireKnownKeys('linear', options, ['from', 'to', 'steps']);
  const { from, to, steps } = options;
  requireNumber('linear.from', from, '[0, Infinity)');
  requireNumber('linear.to', to, '[0, Infinity)');
  requireInteger('linear.steps', steps, 1);
  const at = (k: number): number => {
    const progress = Math.min(k / steps, 1);
    return (1 - progress) * from + progress * to;
  };
  return { kind: 'linear', options: { from, to, steps }, at, largestAt: to > from ? steps : 0 };
}

export interface CosineOptions {
  readonly peak: number;
  /** Updates from the peak to the floor, where the rate stays. */
  readonly steps: number;
  /** Lowest rate, as a fraction of the peak. Default 0. */
  readonly floor?: number;
}

/** peak · (floor + (1 - floor) · (1 + cos(π · min(k / steps, 1))) / 2). */
export function cosine(options: CosineOptions): Schedule {
  requireKnownKeys('cosine', options, ['peak', 'steps', 'floor']);
  const { peak, steps, floor = 0 } = options;
  requireNumber('cosine.peak', peak, '[0, Infinity)');
  requireInteger('cosine.steps', steps, 1);
  requireNumber('cosine.floor', floor, '[0, 1]');
  const at = (k: number): number => peak * cosineFactor(k / steps, floor);
  return { kind: 'cosine', options: { peak, steps, floor }, at, largestAt: 0 };
}

/** Falls from 1 at progress 0 to `floor` at progress 1 along half a cosine. */
function cosineFactor(progress: number, floor: number): number {
  return floor + (1 - floor) * 0.5 * (1 + cosTurns(Math.min(Math.max(progress, 0), 1) / 2));
}

/**
 * Where a warm-up over W updates begins: at `zero`, with peak · k / W at update k, as schedulers in transformers do; or one
 * `step` above it, with peak · (k + 1) / W, so that the very first update moves something and update W - 1 is at the peak.
 */
export type WarmupStart = 'zero' | 'step';

const WARMUP_STARTS: readonly WarmupStart[] = ['zero', 'step'];

/** The rate of update k of a warm-up over `warmup` updates. */
function rising(peak: number, k: number, warmup: number, start: WarmupStart): number {
  return (peak * (start === 'zero' ? k : k + 1)) / warmup;
}

export interface WarmupCosineOptions {
  readonly peak: number;
  /** Updates of linear warm-up. Default 0. */
  readonly warmup?: number;
  /** Where it begins: `zero`, or one `step` above. Default zero. */
  readonly warmupStart?: WarmupStart;
  /** Updates in all, warm-ups included: more than `warmup`. */
  readonly total: number;
  /** Lowest rate, as a fraction of the peak. Default 0. */
  readonly floor?: number;
  /**
   * Length of one cycle, its warm-up included: more than `warmup`. When a cycle ends, the next starts with a warm-up of
   * its own. Default `total`: no restart.
   */
  readonly cycle?: number;
}

/**
 * Linear warm-up, then half a cosine down to `floor · peak`, repeated every `cycle` updates. The rate of the very first
 * update is 0 when there is a warm-up from `zero`: that update fills the state and chooses the subspace but moves nothing.
 * The rate of update `warmup` is the peak, and from update `total` on it stays at the floor, wherever in a cycle that is.
 */
export function warmupCosine(options: WarmupCosineOptions): Schedule {
  requireKnownKeys('warmupCosine', options, ['peak', 'warmup', 'warmupStart', 'total', 'floor', 'cycle']);
  const { peak, warmup = 0, warmupStart = 'zero', total, floor = 0, cycle = total } = options;
  requireNumber('warmupCosine.peak', peak, '[0, Infinity)');
  requireInteger('warmupCosine.warmup', warmup, 0);
  requireOneOf('warmupCosine.warmupStart', warmupStart, WARMUP_STARTS);
  requireInteger('warmupCosine.total', total, warmup + 1);
  requireNumber('warmupCosine.floor', floor, '[0, 1]');
  requireInteger('warmupCosine.cycle', cycle, warmup + 1);
  const at = (k: number): number => {
    if (k >= total) return peak * floor;
    const position = k % cycle;
    if (position < warmup) return rising(peak, position, warmup, warmupStart);
    return peak * cosineFactor((position - warmup) / (cycle - warmup), floor);
  };
  const described = { peak, warmup, ...startOption(warmupStart), total, floor, cycle };
  return { kind: 'warmupCosine', options: described, at, largestAt: warmup };
}

/** Left out at its default, so that a schedule is described as it was before there was a choice. */
function startOption(warmupStart: WarmupStart): { readonly warmupStart?: WarmupStart } {
  return warmupStart === 'zero' ? {} : { warmupStart };
}

export interface WarmupStableDecayOptions {
  readonly peak: number;
  /** Updates of linear warm-up. Default 0. */
  readonly warmup?: number;
  /** Where it begins: `zero`, or one `step` above. Default zero. */
  readonly warmupStart?: WarmupStart;
  /** Updates at the peak. */
  readonly stable: number;
  /** Updates of linear decay. */
  readonly decay: number;
  /** Lowest rate, as a fraction of the peak. Default 0. */
  readonly floor?: number;
}

/**
 * Linear warm-up, a plateau at the peak, then linear decay to `floor · peak`, where it stays. The rate of update
 * `warmup + stable` is still the peak, that of `warmup + stable + decay` the floor.
 */
export function warmupStableDecay(options: WarmupStableDecayOptions): Schedule {
  requireKnownKeys('warmupStableDecay', options, ['peak', 'warmup', 'warmupStart', 'stable', 'decay', 'floor']);
  const { peak, warmup = 0, warmupStart = 'zero', stable, decay, floor = 0 } = options;
  requireNumber('warmupStableDecay.peak', peak, '[0, Infinity)');
  requireInteger('warmupStableDecay.warmup', warmup, 0);
  requireOneOf('warmupStableDecay.warmupStart', warmupStart, WARMUP_STARTS);
  requireInteger('warmupStableDecay.stable', stable, 0);
  requireInteger('warmupStableDecay.decay', decay, 1);
  requireNumber('warmupStableDecay.floor', floor, '[0, 1]');
  const at = (k: number): number => {
    if (k < warmup) return rising(peak, k, warmup, warmupStart);
    const past = Math.min(Math.max((k - warmup - stable) / decay, 0), 1);
    return peak * (floor + (1 - floor) * (1 - past));
  };
  const described = { peak, warmup, ...startOption(warmupStart), stable, decay, floor };
  return { kind: 'warmupStableDecay', options: described, at, largestAt: warmup };
}

export interface JoinedPart {
  readonly schedule: Schedule;
  /** Updates this part lasts. Needed for all parts but the last, which goes on forever. */
  readonly steps?: number;
}

/** Schedules one after the other, each counting from 0 where it begins. The last one goes on forever. */
export function joined(parts: readonly JoinedPart[]): Schedule {
  if (!Array.isArray(parts) || parts.length === 0) {
    const found = Array.isArray(parts) ? '[]' : parts;
    throw new InvalidOptionError({ parameter: 'joined.parts', found, expected: 'at least one schedule' });
  }
  for (const [i, part] of parts.entries()) requireSchedule(`joined.parts[${i}].schedule`, part?.schedule);
  const last = parts[parts.length - 1]!.schedule;
  const earlier = parts.slice(0, -1).map(({ schedule, steps }, i) => ({
    schedule,
    steps: requireInteger(`joined.parts[${i}].steps`, steps as number, 1),
  }));
  const at = (k: number): number => {
    let start = 0;
    for (const { schedule, steps } of earlier) {
      if (k < start + steps) return schedule.at(k - start);
      start += steps;
    }
    return last.at(k - start);
  };
  const describe = ({ kind, options }: Schedule) => ({ kind, options });
  const described = [
    ...earlier.map(({ schedule, steps }) => ({ schedule: describe(schedule), steps })),
    { schedule: describe(last) },
  ];
  const largestAt = largestOfParts(earlier, last, at);
  return { kind: 'joined', options: { parts: described }, at, ...(largestAt === null ? {} : { largestAt }) };
}

/** Parts rise to their largest value before they fall: where one ends before, it is largest at its end. */
function largestOfParts(
  earlier: readonly { readonly schedule: Schedule; readonly steps: number }[],
  last: Schedule,
  at: Schedule['at'],
): number | null {
  const found: number[] = [];
  let start = 0;
  for (const { schedule, steps } of [...earlier, { schedule: last, steps: Number.POSITIVE_INFINITY }]) {
    if (schedule.largestAt === undefined || (schedule.kind === 'joined' && schedule.largestAt >= steps)) return null;
    found.push(start + Math.min(schedule.largestAt, steps - 1));
    start += steps;
  }
  return found.reduce((best, step) => (at(step) > at(best) ? step : best));
}

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
