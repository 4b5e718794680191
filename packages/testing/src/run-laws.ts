import { getBackend } from '@tensorflow/tfjs-core';
import fc from 'fast-check';
import { BrokenLaw, type Law } from './law.js';
import { placeOf } from './place-of.js';
import type { LawResult, Report } from './report.js';
import { smallerShapes } from './smaller-shapes.js';
import { tryExample } from './try-example.js';

export interface RunOptions {
  /** Seed of all examples. Default 1, so that a suite draws the same examples every time it runs. */
  readonly seed?: number;
  /** Examples per law. Default 25, for whole optimizers and kernels 10. */
  readonly numRuns?: number;
  /** Stop at the first broken law. Default false. */
  readonly bail?: boolean;
  /** Laws not to try, by name, and why: reports show the reason. Default none. */
  readonly leaveOut?: Readonly<Record<string, string>>;
}

export const DEFAULT_SEED = 1;
export const DEFAULT_RUNS = 25;
/** Runs of whole optimizers take longer than those of single parts. */
export const DEFAULT_OPTIMIZER_RUNS = 10;

/** Tries laws in their order. A law is left out when one that it needs is broken. */
export async function runLaws<Subject>(
  name: string,
  laws: readonly Law<Subject>[],
  subject: Subject,
  options: RunOptions = {},
): Promise<Report> {
  requireKnownLaws(laws, options);
  const results = new Map<string, LawResult>();
  for (const law of laws) {
    const result = await runLaw(law, subject, options, results);
    results.set(law.name, result);
    if (options.bail && result.status === 'failed') break;
  }
  const all = [...results.values()];
  return {
    subject: name,
    backend: getBackend(),
    seed: options.seed ?? DEFAULT_SEED,
    results: all,
    passed: all.every(({ status }) => status !== 'failed'),
  };
}

/** Tries one law. `before` holds the results of the laws that came before it. */
export async function runLaw<Subject>(
  law: Law<Subject>,
  subject: Subject,
  options: RunOptions = {},
  before: ReadonlyMap<string, LawResult> = new Map(),
): Promise<LawResult> {
  const { seed = DEFAULT_SEED, numRuns = law.freesItself ? DEFAULT_OPTIMIZER_RUNS : DEFAULT_RUNS } = options;
  const about = { law: law.name, formula: law.formula, why: law.why, seed };
  const reason = options.leaveOut?.[law.name] ?? reasonToSkip(law, subject);
  if (reason !== null) return { ...about, status: 'skipped', runs: 0, reason };
  const follows = brokenNeed(law, before);
  if (follows !== null) {
    return { ...about, status: 'skipped', runs: 0, reason: `it follows from "${follows}", which is broken`, follows };
  }
  const property = fc.asyncProperty(law.example(subject), example => tryExample(law, subject, example));
  const details = await fc.check(property, parameters(law, seed, numRuns));
  const result = summarize(about, details);
  if (result.status !== 'failed') return result;
  const shrunk = { example: result.counterexample, error: details.errorInstance };
  const { example, error } = await toSmallestShape(law, subject, shrunk, seed);
  return { ...result, message: messageOf(error), counterexample: example };
}

/** The parameters of fast-check for a law. */
function parameters(
  { effort = 1 }: Pick<Law<never>, 'effort'>,
  seed: number,
  numRuns: number,
): { seed: number; numRuns: number; maxSkipsPerRun: number } {
  return { seed, numRuns: effort === 'once' ? 1 : Math.max(1, Math.round(numRuns * effort)), maxSkipsPerRun: 40 };
}

/** What fast-check found, as the result of a law. */
function summarize(
  about: Pick<LawResult, 'law' | 'formula' | 'why' | 'seed'>,
  details: fc.RunDetails<[unknown]>,
): LawResult {
  if (!details.failed) return { ...about, status: 'passed', runs: details.numRuns };
  if (details.counterexample === null) {
    // Too many examples were passed over.
    if (details.numRuns > 0) return { ...about, status: 'passed', runs: details.numRuns };
    const reason = `no example to which it applies in ${details.numSkips} drawn`;
    return { ...about, status: 'skipped', runs: 0, reason };
  }
  return {
    ...about,
    status: 'failed',
    runs: details.numRuns,
    message: messageOf(details.errorInstance),
    counterexample: details.counterexample[0],
    shrinks: details.numShrinks,
  };
}

function messageOf(error: unknown): string {
  return error instanceof BrokenLaw ? error.message : `it throws ${String(error)}${placeOf(error)}`;
}

/** A law that is left out under another name than its own would be tried all the same. */
export function requireKnownLaws(laws: readonly Pick<Law<never>, 'name'>[], { leaveOut = {} }: RunOptions): void {
  const unknown = Object.keys(leaveOut).filter(left => laws.every(({ name }) => name !== left));
  if (unknown.length === 0) return;
  throw new TypeError(
    `leaveOut: ${unknown.join(', ')}, expected names of laws: ${laws.map(({ name }) => name).join(', ')}`,
  );
}

/** Why a law says nothing about the subject. */
export function reasonToSkip<Subject>(law: Pick<Law<Subject>, 'lifted'>, subject: Subject): string | null {
  return law.lifted?.(subject) ?? null;
}

/** The broken law without which a law says nothing new, also by way of others that were skipped for it. */
function brokenNeed({ needs = [] }: Pick<Law<never>, 'needs'>, before: ReadonlyMap<string, LawResult>): string | null {
  for (const name of needs) {
    const result = before.get(name);
    if (result?.status === 'failed') return name;
    if (result?.follows !== undefined) return result.follows;
  }
  return null;
}

interface Failure {
  readonly example: unknown;
  readonly error: unknown;
}

/** Parts of an example besides its shape that are tried with every smaller shape. */
const OTHER_PARTS = 12;

/**
 * Shrinking moves one part of an example at a time and may stop at a shape that no single move makes smaller. This tries
 * every smaller shape, smallest first, each with the parts that failed and with some others, and so ends at the smallest
 * shape on which any of them fails. Laws that take long for a single example are left as they are.
 */
async function toSmallestShape<Subject>(
  law: Law<Subject>,
  subject: Subject,
  failure: Failure,
  seed: number,
): Promise<Failure> {
  if (law.freesItself || (typeof law.effort === 'number' && law.effort < 0.5)) return failure;
  const others = fc.sample(law.example(subject), { seed, numRuns: OTHER_PARTS }) as object[];
  for (const shape of smallerShapes(failure.example)) {
    for (const parts of [failure.example as object, ...others]) {
      const example = { ...parts, shape };
      try {
        await tryExample(law, subject, example);
      } catch (error) {
        if (!fc.PreconditionFailure.isFailure(error)) return { example, error };
      }
    }
  }
  return failure;
}
