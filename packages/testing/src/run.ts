import { didYouMean, type Shape, sizeOf } from '@frugaljs/core';
import { engine, getBackend, memory, type Variable } from '@tensorflow/tfjs-core';
import fc from 'fast-check';
import { BrokenLaw, type Law } from './law.js';
import { type LawResult, messageOf, type Report } from './report.js';

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
export async function runLaws<Fixture>(
  name: string,
  laws: readonly Law<Fixture>[],
  fixture: Fixture,
  options: RunOptions = {},
): Promise<Report> {
  requireKnownLaws(laws, options);
  const results = new Map<string, LawResult>();
  for (const law of laws) {
    const result = await runLaw(law, fixture, options, results);
    results.set(law.name, result);
    if (options.bail && result.status === 'failed') break;
  }
  const all = [...results.values()];
  return {
    fixture: name,
    backend: getBackend(),
    seed: options.seed ?? DEFAULT_SEED,
    results: all,
    passed: all.every(({ status }) => status !== 'failed'),
  };
}

/** Tries one law. `before` holds the results of the laws that came before it. */
export async function runLaw<Fixture>(
  law: Law<Fixture>,
  fixture: Fixture,
  options: RunOptions = {},
  before: ReadonlyMap<string, LawResult> = new Map(),
): Promise<LawResult> {
  const { seed = DEFAULT_SEED, numRuns = law.freesItself ? DEFAULT_OPTIMIZER_RUNS : DEFAULT_RUNS } = options;
  const about = { law: law.name, formula: law.formula, why: law.why, seed };
  const reason = options.leaveOut?.[law.name] ?? reasonToSkip(law, fixture);
  if (reason !== null) return { ...about, status: 'skipped', runs: 0, reason };
  const follows = brokenNeed(law, before);
  if (follows !== null) {
    return { ...about, status: 'skipped', runs: 0, reason: `it follows from "${follows}", which is broken`, follows };
  }
  const property = fc.asyncProperty(law.example(fixture), example => tryExample(law, fixture, example));
  const details = await fc.check(property, parameters(law, seed, numRuns));
  const result = summarize(about, details);
  if (result.status !== 'failed') return result;
  const shrunk = { example: result.counterexample, error: details.errorInstance };
  const { example, error } = await toSmallestShape(law, fixture, shrunk, seed);
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

/** Why a law says nothing about the fixture. */
export function reasonToSkip<Fixture>(law: Pick<Law<Fixture>, 'notApplicable'>, fixture: Fixture): string | null {
  return law.notApplicable?.(fixture) ?? null;
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

/** The check under way. Scopes and counts of tensors belong to the process, so checks take turns. */
let underWay: Promise<void> = Promise.resolve();

/** Checks one example after those under way; whatever it does, no tensor outlives it. */
function tryExample<Fixture>(law: Law<Fixture>, fixture: Fixture, example: unknown): Promise<void> {
  const check = (): Promise<void> => (law.freesItself ? tryOwner : tryInScope)(law, fixture, example);
  const result = underWay.then(check);
  underWay = result.catch(() => {});
  return result;
}

async function tryInScope<Fixture>(law: Law<Fixture>, fixture: Fixture, example: unknown): Promise<void> {
  const { numTensors } = memory();
  // tf.tidy ends with its callback and cannot wait for a read; a scope can.
  engine().startScope(law.name);
  try {
    await law.check(fixture, example);
  } finally {
    engine().endScope();
  }
  const left = memory().numTensors - numTensors;
  if (left !== 0) throw new BrokenLaw(`${left} tensors outlive tf.tidy; tf.keep or tf.variable must not be used here`);
}

async function tryOwner<Fixture>(law: Law<Fixture>, fixture: Fixture, example: unknown): Promise<void> {
  // What a first run leaves behind may be a cache, such as a cosine table per size; a second one must add nothing.
  if ((await tensorsLeftBy(law, fixture, example)) === 0) return;
  const left = await tensorsLeftBy(law, fixture, example);
  if (left !== 0) throw new BrokenLaw(`${left} tensors outlive the optimizer after dispose()`);
}

async function tensorsLeftBy<Fixture>(law: Law<Fixture>, fixture: Fixture, example: unknown): Promise<number> {
  const { numTensors } = memory();
  const known = new Set(variables());
  try {
    await law.check(fixture, example);
  } catch (error) {
    // The next example uses the same names.
    for (const variable of variables()) if (!known.has(variable)) variable.dispose();
    throw error;
  }
  return memory().numTensors - numTensors;
}

function variables(): readonly Variable[] {
  return Object.values(engine().registeredVariables);
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
async function toSmallestShape<Fixture>(
  law: Law<Fixture>,
  fixture: Fixture,
  failure: Failure,
  seed: number,
): Promise<Failure> {
  if (law.freesItself || (typeof law.effort === 'number' && law.effort < 0.5)) return failure;
  const others = fc.sample(law.example(fixture), { seed, numRuns: OTHER_PARTS }) as object[];
  for (const shape of smallerShapes(failure.example)) {
    for (const parts of [failure.example as object, ...others]) {
      const example = { ...parts, shape };
      try {
        await tryExample(law, fixture, example);
      } catch (error) {
        if (!fc.PreconditionFailure.isFailure(error)) return { example, error };
      }
    }
  }
  return failure;
}

/** Shapes tried at most. */
const MOST = 60;

/** Every shape of as many axes with fewer elements, fewest first; empty for an example without a `shape`. */
function smallerShapes(example: unknown): readonly Shape[] {
  if (typeof example !== 'object' || example === null || !('shape' in example)) return [];
  const { shape } = example as { shape: Shape };
  if (!Array.isArray(shape)) return [];
  const candidates = shapesBelow(shape.length, sizeOf(shape));
  candidates.sort((a, b) => sizeOf(a) - sizeOf(b) || Math.max(0, ...a) - Math.max(0, ...b));
  return candidates.slice(0, MOST);
}

/** All shapes of so many axes with fewer than `size` elements. */
function shapesBelow(axes: number, size: number): Shape[] {
  if (axes === 0) return size > 1 ? [[]] : [];
  const found: Shape[] = [];
  for (let first = 1; first < size; first++) {
    // The other axes hold fewer than size / first elements.
    for (const rest of shapesBelow(axes - 1, Math.ceil(size / first))) found.push([first, ...rest]);
  }
  return found;
}

/**
 * Checks that a factory made a part with all its members, before any law is tried on it.
 *
 * @param what Such as `a projector`.
 * @throws TypeError that names the members that are missing.
 */
export function requireMade<Part>(what: string, made: Part, members: readonly (keyof Part & string)[]): Part {
  if (typeof made !== 'object' || made === null) {
    throw new TypeError(`The factory returns ${typeof made === 'function' ? 'a function' : made}, expected ${what}.`);
  }
  const missing = members.filter(member => made[member] === undefined);
  if (missing.length === 0) return made;
  const found = made instanceof Promise ? 'a Promise' : `{ ${Object.keys(made).join(', ')} }`;
  throw new TypeError(`The factory returns ${found}, expected ${what}, which also has: ${missing.join(', ')}.`);
}

/** A misspelled claim would not be tested, and look as if it were. */
export function requireKnownClaims(suite: string, given: object, claims: readonly string[]): void {
  const known = [...claims, ...COMMON];
  for (const key of Object.keys(given)) {
    if (known.includes(key)) continue;
    const advice = didYouMean(key, known)?.advice;
    throw new TypeError(
      `${suite}.${key}: expected one of ${known.join(', ')}.${advice === undefined ? '' : ` ${advice}`}`,
    );
  }
}

/** Options of every suite. */
const COMMON = ['seed', 'numRuns', 'bail', 'leaveOut', 'name', 'backends', 'timeout'];

/** A law that is left out under another name than its own would be tried all the same. */
export function requireKnownLaws(laws: readonly Pick<Law<never>, 'name'>[], { leaveOut = {} }: RunOptions): void {
  const unknown = Object.keys(leaveOut).filter(left => laws.every(({ name }) => name !== left));
  if (unknown.length === 0) return;
  throw new TypeError(
    `leaveOut: ${unknown.join(', ')}, expected names of laws: ${laws.map(({ name }) => name).join(', ')}`,
  );
}
