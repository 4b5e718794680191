import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import type { Json } from '@frugaljs/core';
import { defaultWarmup, type ScheduleName } from '../training/schedule.js';
import type { RecipeFlags } from './recipe-options.js';

/** What the command line of `frugal train` asks for. */
export interface TrainingRequest extends RecipeFlags {
  readonly optimizer: string;
  readonly lr?: number;
  readonly steps: number;
  readonly batch: number;
  readonly length: number;
  /** Compute layers again in the backward pass, in place of keeping what they computed. */
  readonly recompute?: boolean;
  readonly warmup?: number;
  readonly schedule: ScheduleName;
  readonly seed: number;
  readonly backend: string;
  readonly config?: string;
  /** Weights to start from: a folder as transformers saves it, or a checkpoint. */
  readonly weights?: string;
  readonly data: string;
  readonly tokenizer: string;
  readonly offline?: boolean;
  readonly evalEvery?: number;
  readonly sample: number;
  readonly prompt?: string;
  readonly sampleLength: number;
  readonly log?: string;
  readonly json?: string;
  /** Where checkpoints go; false: nowhere, not even when the run is interrupted. */
  readonly save?: string | false;
  readonly saveEvery: number;
  readonly keepLast: number;
  readonly keepBest: number;
  /** A checkpoint, a folder of them, or `auto`: that of `save`, if there is one. */
  readonly resume?: string;
  readonly resumePartial?: boolean;
  /** Standard deviations above the average that a loss must be to have the run rolled back. */
  readonly rollback?: number;
  readonly maxRollbacks: number;
}

/** The options that a checkpoint remembers, with the type of their values; the others concern one call only. */
const REMEMBERED: Readonly<Record<string, 'string' | 'number' | 'boolean' | 'strings'>> = {
  optimizer: 'string',
  lr: 'number',
  density: 'number',
  projector: 'string',
  updateGap: 'number',
  weightDecay: 'number',
  clip: 'number',
  nonFinite: 'string',
  set: 'strings',
  steps: 'number',
  batch: 'number',
  length: 'number',
  accumulate: 'number',
  recompute: 'boolean',
  warmup: 'number',
  schedule: 'string',
  seed: 'number',
  backend: 'string',
  data: 'string',
  tokenizer: 'string',
  offline: 'boolean',
  evalEvery: 'number',
  sample: 'number',
  prompt: 'string',
  sampleLength: 'number',
  saveEvery: 'number',
  keepLast: 'number',
  keepBest: 'number',
  rollback: 'number',
  maxRollbacks: 'number',
};

/** Options that mean something else to another optimizer, or nothing. */
const OF_THE_OPTIMIZER: readonly string[] = ['lr', 'density', 'projector', 'updateGap', 'set'];

/** Options whose value may be a path, which must lead to the same file from any folder. */
const PATHS: readonly string[] = ['data', 'tokenizer'];

/** The options of a run as a checkpoint remembers them. */
export function rememberedOptions(request: TrainingRequest): Json {
  const entries = Object.keys(REMEMBERED).flatMap(key => {
    const value = (request as unknown as Record<string, Json | undefined>)[key];
    if (value === undefined) return [];
    const isFile = PATHS.includes(key) && typeof value === 'string' && existsSync(value);
    return [[key, isFile ? resolve(value) : value] as const];
  });
  return Object.fromEntries(entries);
}

/**
 * The request of a run that goes on: what the checkpoint remembers, and over it what the command line says.
 *
 * @param given Names of the options that were given on the command line.
 */
export function resumedRequest(
  request: TrainingRequest,
  given: ReadonlySet<string>,
  remembered: Json,
): TrainingRequest {
  if (typeof remembered !== 'object' || remembered === null) return request;
  const isAnother = given.has('optimizer') && (remembered as { optimizer?: Json }).optimizer !== request.optimizer;
  const known = Object.entries(remembered).filter(
    ([key, value]) =>
      Object.hasOwn(REMEMBERED, key) &&
      typeOf(value) === REMEMBERED[key] &&
      !given.has(key) &&
      !(isAnother && OF_THE_OPTIMIZER.includes(key)),
  );
  const { warmup = warmupOf(remembered), ...rest } = { ...request, ...Object.fromEntries(known) };
  return warmup === undefined ? rest : { ...rest, warmup };
}

/** The warm-up that a run without `--warmup` had: with another number of steps it stays what it was. */
function warmupOf(remembered: Json): number | undefined {
  const { steps } = remembered as { readonly steps?: Json };
  return typeof steps === 'number' ? defaultWarmup(steps) : undefined;
}

function typeOf(value: Json | undefined): string {
  return Array.isArray(value) && value.every(each => typeof each === 'string') ? 'strings' : typeof value;
}
