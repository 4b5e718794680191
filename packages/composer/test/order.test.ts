import '@frugaljs/backend-wasm';
import '@frugaljs/backend-wasm/cpu';
import type { OnRefresh, Rule } from '@frugaljs/core';
import { blockwise, columns, randK, rows, svd } from '@frugaljs/projectors';
import { signSgd } from '@frugaljs/state-free';
import { adamW, lion } from '@frugaljs/state-full';
import * as tf from '@tensorflow/tfjs-core';
import fc, { type Arbitrary } from 'fast-check';
import { afterEach, describe, expect, test } from 'vitest';
import {
  type ComposedOptimizer,
  type ComposeOptions,
  compose,
  drop,
  recipe,
  residual,
  subspace,
} from '../src/index.js';
import { trainsAll } from './fixtures.js';
import { gradientsAt, type Stream, startOf, type Values } from './trajectory.js';

// Nothing may depend on the order in which gradients are listed, variables are met or, in another process, made. A life is
// run twice: without interruption, every list in the order in which the variables were made; and with lists in any order,
// saved and restored into a fresh optimizer at some step. Every bit of the parameters must be the same after every step.

const NAMES = ['layers.0.up', 'layers.0.down', 'layers.1.up', 'layers.1.down', 'gain', 'head'] as const;
const STREAM: Stream = {
  shapes: {
    'layers.0.up': [3, 5],
    'layers.0.down': [4, 3],
    'layers.1.up': [3, 5],
    'layers.1.down': [5, 2],
    gain: [3],
    head: [2, 4],
  },
  seed: 7,
  steps: 12,
};

/** What a life is: who is listed in each step, how the second run lists them, and where that is saved and restored. */
interface Life {
  /** A bit for each of {@link NAMES}. */
  readonly listed: readonly number[];
  /** Seeds of the orders of the second run. */
  readonly orders: readonly number[];
  readonly saveAt: readonly number[];
  /** Later processes make variables that were met in another order. Those that join together join as they were made. */
  readonly remakes: boolean;
}

const lives: Arbitrary<Life> = fc
  .record({
    joins: fc.array(fc.integer({ min: 0, max: STREAM.steps - 1 }), { minLength: 6, maxLength: 6 }),
    frozen: fc.array(fc.tuple(fc.nat(5), fc.nat(STREAM.steps - 1), fc.integer({ min: 1, max: 6 })), { maxLength: 4 }),
    orders: fc.array(fc.nat(719), { minLength: STREAM.steps, maxLength: STREAM.steps }),
    saveAt: fc.uniqueArray(fc.integer({ min: 1, max: STREAM.steps - 1 }), { minLength: 1, maxLength: 3 }),
    remakes: fc.boolean(),
  })
  .map(({ joins, frozen, orders, saveAt, remakes }) => {
    const listed = Array.from({ length: STREAM.steps }, (_, step) =>
      joins.reduce((bits, join, i) => {
        // One is there from the beginning, and in the first list after a restore: a list of strangers may be renamed ones.
        if (i === 0 && (step === 0 || saveAt.includes(step))) return 1;
        const isIn = i === 0 || step >= join;
        const isFrozen = frozen.some(([who, from, length]) => who === i && step >= from && step < from + length);
        return isIn && !isFrozen ? bits | (1 << i) : bits;
      }, 0),
    );
    return { listed, orders, saveAt, remakes };
  });

const leaf: Arbitrary<Rule> = fc.constantFrom(adamW(), lion(), signSgd());

function subspaces(depth: number, matrices: boolean): Arbitrary<Rule> {
  const inside = depth === 0 ? leaf : fc.oneof(leaf, subspaces(depth - 1, matrices));
  return fc
    .record({
      projector: fc.oneof(
        {
          weight: 3,
          arbitrary: fc
            .record({
              density: fc.constantFrom(0.25, 0.5, 0.75),
              order: fc.constantFrom('random', 'shuffled', 'ascending', 'descending'),
              unit: fc.constantFrom('matrix', 'layer'),
            })
            .map(options => blockwise(options as Parameters<typeof blockwise>[0])),
        },
        {
          weight: 1,
          arbitrary: fc.constantFrom(
            columns({ density: 0.5 }),
            ...(matrices ? [rows({ density: 0.5 }), svd({ density: 0.5 })] : []),
          ),
        },
      ),
      rule: inside,
      outside: fc.option(inside, { nil: null }),
      every: fc.integer({ min: 1, max: 5 }),
      stagger: fc.boolean(),
      onRefresh: fc.constantFrom<OnRefresh>('reset', 'keep', 'transport'),
    })
    .map(({ projector, rule, outside, every, stagger: staggers, onRefresh }) => {
      // Blocks change together.
      const stagger = staggers && projector.kind !== 'blockwise';
      const combine = outside === null ? drop() : residual(outside);
      return subspace({ projector, rule, combine, refresh: { every, stagger }, onRefresh });
    });
}

const randomCoordinates: Rule = subspace({
  projector: randK({ density: 0.5 }),
  rule: adamW(),
  combine: residual(
    subspace({
      projector: randK({ density: 0.25 }),
      rule: lion(),
      combine: residual(signSgd()),
      refresh: { every: 3, stagger: true },
    }),
  ),
  refresh: { every: 2, stagger: true },
  onRefresh: 'transport',
});

const compositions: Arbitrary<ComposeOptions> = fc
  .record({
    first: fc.oneof(
      { weight: 4, arbitrary: subspaces(1, true) },
      { weight: 1, arbitrary: fc.constant(randomCoordinates) },
    ),
    second: fc.oneof(leaf, subspaces(0, false)),
    clips: fc.boolean(),
    accumulate: fc.constantFrom(1, 1, 2),
    decayInactive: fc.boolean(),
  })
  .map(({ first, second, clips, accumulate, decayInactive }) => ({
    learningRate: 0.03,
    seed: 11,
    groups: [
      { match: { name: /layers/ }, use: first, weightDecay: 0.1, decayInactive, optional: true },
      { use: second },
    ],
    accumulate,
    ...(clips ? { clip: { globalNorm: 0.5 } } : {}),
  }))
  .filter(options =>
    trainsAll(
      options,
      NAMES.map(name => ({ name, shape: STREAM.shapes[name]! })),
    ),
  );

/** The order of a list by the number of a permutation. */
function permuted<T>(list: readonly T[], number: number): T[] {
  const left = [...list];
  const out: T[] = [];
  for (let n = number; left.length > 0; n = Math.floor(n / (left.length + 1)))
    out.push(...left.splice(n % left.length, 1));
  return out;
}

function make(values: Values, names: readonly string[]): Map<string, tf.Variable> {
  return new Map(
    names.map(name => [
      name,
      tf.tidy(() => tf.variable(tf.tensor(values[name]!.slice(), [...STREAM.shapes[name]!]), true, name)),
    ]),
  );
}

function update(optimizer: ComposedOptimizer, names: readonly string[], step: number): void {
  if (names.length === 0) return;
  const values = gradientsAt(STREAM, step);
  const gradients = names.map(name => ({ name, tensor: tf.tensor(values[name]!, [...STREAM.shapes[name]!]) }));
  try {
    optimizer.applyGradients(gradients);
  } finally {
    tf.dispose(gradients.map(({ tensor }) => tensor));
  }
}

const read = (variables: ReadonlyMap<string, tf.Variable>): Values =>
  Object.fromEntries(NAMES.map(name => [name, Float32Array.from(variables.get(name)!.dataSync())]));

async function copyOf(optimizer: ComposedOptimizer): Promise<{ name: string; tensor: tf.Tensor }[]> {
  return (await optimizer.getWeights()).map(({ name, tensor }) => ({
    name,
    tensor: tf.tensor(tensor.dataSync().slice(), tensor.shape, tensor.dtype),
  }));
}

/** Lives a life; the values after every step, and what is saved at the end. */
async function live(
  composed: () => ComposedOptimizer,
  { listed, orders, saveAt, remakes }: Life,
  interrupted: boolean,
): Promise<{ path: Values[]; state: Map<string, number[]> }> {
  let variables = make(startOf(STREAM), NAMES);
  let optimizer = composed();
  const path: Values[] = [];
  try {
    for (const [step, bits] of listed.entries()) {
      if (interrupted && saveAt.includes(step)) {
        const saved = await copyOf(optimizer);
        optimizer.dispose();
        if (remakes) {
          const values = read(variables);
          tf.dispose([...variables.values()]);
          const hasMet = (_: string, i: number): boolean => listed.slice(0, step).some(met => (met >> i) % 2 === 1);
          const met = NAMES.filter(hasMet);
          const order = [...permuted(met, orders[0]!), ...NAMES.filter(name => !met.includes(name))];
          variables = make(values, order);
        }
        optimizer = composed();
        await optimizer.setWeights(saved);
        const again = await copyOf(optimizer);
        expect(contentsOf(again)).toEqual(contentsOf(saved));
        tf.dispose([...saved, ...again].map(({ tensor }) => tensor));
      }
      const names = NAMES.filter((_, i) => (bits >> i) % 2 === 1);
      update(optimizer, interrupted ? permuted(names, orders[step]!) : names, step);
      path.push(read(variables));
    }
    const last = await copyOf(optimizer);
    const state = contentsOf(last);
    tf.dispose(last.map(({ tensor }) => tensor));
    return { path, state };
  } finally {
    optimizer.dispose();
    tf.dispose([...variables.values()]);
  }
}

function contentsOf(weights: readonly { name: string; tensor: tf.Tensor }[]): Map<string, number[]> {
  return new Map(weights.map(({ name, tensor }) => [name, [...tensor.dataSync()]]));
}

async function requireSame(composed: () => ComposedOptimizer, life: Life): Promise<void> {
  const whole = await live(composed, life, false);
  const parts = await live(composed, life, true);
  for (const [step, values] of whole.path.entries()) expect(parts.path[step], `after step ${step}`).toEqual(values);
  expect(parts.state).toEqual(whole.state);
}

const RUNS = { numRuns: 40 };
const KERNELS = ['auto', 'reference'] as const;

afterEach(() => {
  tf.disposeVariables();
});

describe.each(['cpu', 'wasm'])('on %s', backend => {
  test.each(KERNELS)('any order, saved and restored anywhere, is the uninterrupted run (%s)', async kernels => {
    await tf.setBackend(backend);
    const before = tf.memory().numTensors;
    await fc.assert(
      fc.asyncProperty(compositions, lives, async (options, life) => {
        tf.disposeVariables();
        await requireSame(() => compose({ ...options, kernels }), life);
        expect(tf.memory().numTensors).toBe(before);
      }),
      RUNS,
    );
  });

  test.each(['badam', 'frugal-blockwise', 'frugal', 'galore', 'frugal-randK', 'adamW'])(
    'as a recipe: %s',
    async name => {
      await tf.setBackend(backend);
      const own = {
        ...(name === 'badam' ? { switchEvery: 2, density: 0.5 } : {}),
        ...(name.startsWith('frugal') || name === 'galore' ? { updateGap: 3, density: 0.5 } : {}),
      };
      const kernels = fc.constantFrom(...KERNELS);
      await fc.assert(
        fc.asyncProperty(lives, fc.boolean(), kernels, async (life, clips, which) => {
          tf.disposeVariables();
          const options = {
            learningRate: 0.02,
            kernels: which,
            ...own,
            ...(clips ? { clip: { globalNorm: 0.5 } } : {}),
          };
          await requireSame(() => recipe(name, options), life);
        }),
        { numRuns: 8 },
      );
    },
  );
});
