// What an update does with NaN, Inf and numbers that overflow: one rule for every backend, and every case of it.
import { type Clip, type ComposeOptions, compose, type NonFinitePolicy, residual, subspace } from '@frugaljs/composer';
import { backendTraits } from '@frugaljs/core';
import { columns } from '@frugaljs/projectors';
import { sgd } from '@frugaljs/state-free';
import { adamW } from '@frugaljs/state-full';
import { dispose, tensor, tidy, type Variable, variable, zeros } from '@tensorflow/tfjs-core';

/** Vectors and matrices, at the ends and within. Large ones of their kind are not needed: kernels are chosen by rule. */
const SHAPES = { 'first, a vector': [5], 'a matrix': [4, 6], 'another vector': [7], 'last, a matrix': [3, 3] } as const;
type Name = keyof typeof SHAPES;
const NAMES = Object.keys(SHAPES) as Name[];

const VALUES = [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 1e38, -1e38] as const;
const POLICIES: readonly NonFinitePolicy[] = ['throw', 'skip', 'ignore'];
const CLIPS: Readonly<Record<string, Clip>> = {
  none: {},
  value: { value: 1 },
  globalNorm: { globalNorm: 2 },
  both: { value: 1, globalNorm: 2 },
};

/** One update, or the rounds of one, with one entry that is out of the ordinary. */
interface NonFiniteCase {
  readonly value: number;
  readonly policy: NonFinitePolicy;
  readonly clip: string;
  readonly parameter: Name;
  readonly entry: number;
  readonly accumulate: 1 | 3;
  /** The round that has the entry; `every` of them for a sum that overflows. */
  readonly round: number | 'every';
}

/** What became of it. */
interface NonFiniteOutcome {
  /** Of the rounds, and of one plain round that comes after them. */
  readonly errors: readonly string[];
  /** After the rounds. */
  readonly skipped: number;
  readonly updates: number;
  readonly weights: 'as they were' | 'new' | 'one is not finite' | 'none is finite';
  /** After one more, plain round: that an update happens where it should. */
  readonly updatesLater: number;
}

/** All cases. */
function nonFiniteCases(): NonFiniteCase[] {
  const cases: NonFiniteCase[] = [];
  for (const parameter of NAMES) {
    const size = sizeOf(parameter);
    for (const entry of [0, size >> 1, size - 1]) {
      for (const policy of POLICIES) {
        for (const clip of Object.keys(CLIPS)) {
          const common = { policy, clip, parameter, entry };
          for (const value of VALUES) {
            cases.push({ ...common, value, accumulate: 1, round: 0 });
            for (const round of [0, 1, 2]) cases.push({ ...common, value, accumulate: 3, round });
          }
          cases.push({ ...common, value: 3e38, accumulate: 3, round: 'every' });
        }
      }
    }
  }
  return cases;
}

/**
 * The rule. A gradient is looked at as it comes, and the mean of an accumulation again: what is finite is applied. What is
 * not is an error or skipped, and changes nothing, whatever is limited. Ignored, it reaches the weights, unless a limit
 * makes a number of it: ±Inf under `value` is ±value. NaN in a norm is NaN in everything; an infinite norm leaves nothing
 * of the finite entries.
 *
 * @param decidesLate The device decides, after the host has gone on. Then the last round of an accumulation ends it in any
 *   case: where it is skipped with the mean of the others, where it is an error with nothing.
 */
function expectedOutcome(
  { value, policy, clip, accumulate, round }: NonFiniteCase,
  decidesLate: boolean,
): NonFiniteOutcome {
  const isSum = round === 'every';
  const isBad = !Number.isFinite(value) || isSum;
  if (!isBad || policy === 'ignore') {
    const { value: limit, globalNorm } = CLIPS[clip]!;
    const found = Number.isNaN(value) && globalNorm !== undefined ? 'none is finite' : 'one is not finite';
    const isLimited = limit !== undefined && !Number.isNaN(value);
    return {
      errors: [],
      skipped: 0,
      updates: 1,
      weights: !isBad || isLimited ? 'new' : found,
      updatesLater: accumulate === 1 ? 2 : 1,
    };
  }
  if (decidesLate && accumulate === 3 && round === 2) {
    return policy === 'throw'
      ? { errors: ['NonFiniteGradientError'], skipped: 0, updates: 0, weights: 'as they were', updatesLater: 0 }
      : { errors: [], skipped: 1, updates: 1, weights: 'new', updatesLater: 1 };
  }
  // The sum is given up as a whole, a round by itself.
  const isDue = accumulate === 1 || !isSum;
  return {
    errors: policy === 'throw' ? ['NonFiniteGradientError'] : [],
    skipped: policy === 'skip' ? 1 : 0,
    updates: 0,
    weights: 'as they were',
    updatesLater: isDue ? 1 : 0,
  };
}

/** Runs a case on the current backend. */
async function nonFiniteOutcome(
  { value, policy, clip, parameter, entry, accumulate, round }: NonFiniteCase,
  kernels: NonNullable<ComposeOptions['kernels']>,
): Promise<NonFiniteOutcome> {
  const variables = NAMES.map(name => tidy(() => variable(zeros([...SHAPES[name]]), true, name)));
  const optimizer = compose({
    learningRate: 1e-3,
    groups: [
      { match: { minRank: 2 }, use: split() },
      { match: { name: 'first, a vector' }, use: sgd() },
      { use: adamW() },
    ],
    onNonFinite: policy,
    clip: CLIPS[clip]!,
    accumulate,
    kernels,
  });
  const errors: string[] = [];
  const apply = async (isOutOfOrder: boolean): Promise<void> => {
    const gradients = Object.fromEntries(
      NAMES.map(name => {
        const values = new Float32Array(sizeOf(name)).fill(0.25);
        if (isOutOfOrder && name === parameter) values[entry] = value;
        return [name, tensor(values, [...SHAPES[name]])];
      }),
    );
    try {
      optimizer.applyGradients(gradients);
      // Where the device decides, it has then done so.
      await optimizer.settled();
    } catch (error) {
      errors.push((error as Error).name);
    } finally {
      dispose(gradients);
    }
  };
  try {
    for (let each = 0; each < accumulate; each++) await apply(round === 'every' || each === round);
    const [skipped, updates] = [optimizer.skippedUpdates, optimizer.updates];
    const weights = await stateOf(variables);
    await apply(false);
    return { errors, skipped, updates, weights, updatesLater: optimizer.updates };
  } finally {
    optimizer.dispose();
    dispose(variables);
  }
}

function split() {
  return subspace({ projector: columns({ density: 0.5 }), rule: adamW(), combine: residual(sgd()) });
}

async function stateOf(variables: readonly Variable[]): Promise<NonFiniteOutcome['weights']> {
  const values = (await Promise.all(variables.map(each => each.data()))).flatMap(each => [...each]);
  const bad = values.filter(each => !Number.isFinite(each)).length;
  if (bad === values.length) return 'none is finite';
  if (bad > 0) return bad === 1 ? 'one is not finite' : (`${bad} are not finite` as never);
  return values.every(each => each === 0) ? 'as they were' : 'new';
}

function sizeOf(name: Name): number {
  return SHAPES[name].reduce<number>((product, dimension) => product * dimension, 1);
}

/**
 * Runs all cases, and says which of them were not as the rule says.
 *
 * @returns In words, the first few.
 *
 * @param every One case in so many is tried.
 */
export async function deviationsFromTable(
  where: string,
  kernels: NonNullable<ComposeOptions['kernels']>,
  every = 1,
): Promise<string[]> {
  const cases = nonFiniteCases().filter((_, i) => i % every === 0);
  const decidesLate = !backendTraits().readsAtOnce;
  const deviations: string[] = [];
  for (const each of cases) {
    const [found, expected] = [await nonFiniteOutcome(each, kernels), expectedOutcome(each, decidesLate)].map(x =>
      JSON.stringify(x),
    );
    if (found !== expected) {
      deviations.push(`${each.value} ${JSON.stringify(each)}: expected ${expected}, found ${found}`);
    }
  }
  console.log(`${where}, kernels ${kernels}: ${cases.length} cases, ${deviations.length} not as the table says`);
  return deviations.slice(0, 20);
}
