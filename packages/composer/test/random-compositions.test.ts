import '@frugaljs/backend-wasm';
import '@frugaljs/backend-wasm/cpu';
import { NonFiniteGradientError } from '@frugaljs/core';
import {
  buildComposition,
  type Composition,
  type CompositionOptions,
  compositions,
  type GradientStream,
  gradientStreams,
  partsOf,
} from '@frugaljs/testing';
import * as tf from '@tensorflow/tfjs-core';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { algebraOf } from '../../../tools/test-support/algebra.js';
import { useBackend } from '../../../tools/test-support/backends.js';
import { type ComposedOptimizer, type ComposeOptions, compose } from '../src/index.js';
import { trainsAll } from './fixtures.js';
import { deviation, gradientsAt, startOf, type Values } from './trajectory.js';

// What the laws of optimizers do not see, as it is promised by compose alone: the report of memory, and what a gradient
// that is not finite leaves untouched. On random compositions, with wrappers, measures, feedback and sketches in them.

const ALGEBRA = algebraOf('auto');

interface Example {
  readonly composition: Composition;
  readonly stream: GradientStream;
  /** The update before which a gradient is not finite. */
  readonly at: number;
}

const PARTS = partsOf(ALGEBRA);

const examples = (parts: CompositionOptions = PARTS): fc.Arbitrary<Example> =>
  fc
    .record({
      composition: compositions(parts),
      stream: gradientStreams({ parameters: 2, steps: 6 }),
      at: fc.nat({ max: 4 }),
    })
    .filter(({ composition, stream }) => {
      const parameters = Object.entries(stream.shapes).map(([name, shape]) => ({ name, shape }));
      return trainsAll(optionsOf(composition), parameters);
    });

function optionsOf(composition: Composition): ComposeOptions {
  return { learningRate: 0.05, seed: 3, groups: [{ use: buildComposition(ALGEBRA, composition) }] };
}

/** Runs a stream; `between` sees the optimizer before each update and after the last. */
async function run(
  stream: GradientStream,
  options: ComposeOptions,
  between: (optimizer: ComposedOptimizer, variables: readonly tf.Variable[], step: number) => Promise<void>,
): Promise<Values[]> {
  const start = startOf(stream);
  const variables = Object.entries(stream.shapes).map(([name, shape]) =>
    tf.tidy(() => tf.variable(tf.tensor(start[name]!, [...shape]), true, name)),
  );
  const optimizer = compose(options);
  const path: Values[] = [];
  try {
    for (let step = 0; step < stream.steps; step++) {
      await between(optimizer, variables, step);
      const gradients = tensorsOf(stream, gradientsAt(stream, step));
      optimizer.applyGradients(gradients);
      tf.dispose(gradients);
      path.push(Object.fromEntries(variables.map(v => [v.name, v.dataSync().slice() as Float32Array])));
    }
    await between(optimizer, variables, stream.steps);
    return path;
  } finally {
    optimizer.dispose();
    tf.dispose(variables);
  }
}

function tensorsOf({ shapes }: GradientStream, values: Values): tf.NamedTensorMap {
  return Object.fromEntries(
    Object.entries(values).map(([name, x]) => [name, tf.tensor(x.slice(), [...shapes[name]!])]),
  );
}

/**
 * Everything that an update may change, bit for bit: not the count of those that were skipped, and not the places of
 * variables, which join with their first gradient whatever is in it.
 */
async function bitsOf(optimizer: ComposedOptimizer, variables: readonly tf.Variable[]): Promise<string> {
  const state = (await optimizer.getWeights())
    .filter(({ name }) => !/::(skipped|order\/place)/.test(name))
    .map(({ name, tensor }) => [name, tensor] as const);
  const bits = [...variables.map(v => [v.name, v] as const), ...state].map(([name, tensor]) => {
    const values = tensor.dataSync();
    return `${name} ${Buffer.from(values.buffer, values.byteOffset, values.byteLength).toString('base64')}`;
  });
  return bits.join('\n');
}

/** The blocks inside begin anew, also on what they had missed, whenever the entries around them change. */
const BEGUN_ANEW: Example = {
  composition: {
    projector: 'randK',
    density: 0.5,
    inside: {
      projector: 'blockwise',
      density: 0.5,
      inside: { rule: 'adamW' },
      outside: { rule: 'adamW' },
      every: 1,
      onRefresh: 'reset',
    },
    outside: null,
    every: 1,
    onRefresh: 'reset',
  },
  stream: { shapes: { a: [1, 2], b: [2, 1] }, steps: 4, seed: 0, kind: 'normal' },
  at: 0,
};

describe.each([
  ['cpu', 'reference'],
  ['cpu', 'auto'],
  ['wasm', 'auto'],
] as const)('random compositions on %s, kernels %s', (backend, kernels) => {
  useBackend(backend);

  test.each(['skip', 'throw'] as const)(
    'a gradient that is not finite leaves no trace, under %s',
    async onNonFinite => {
      await fc.assert(
        fc.asyncProperty(examples(), async ({ composition, stream, at }) => {
          const options = { ...optionsOf(composition), kernels, onNonFinite };
          const expected = await run(stream, options, async () => {});
          const found = await run(stream, options, async (optimizer, variables, step) => {
            if (step !== Math.min(at, stream.steps - 1)) return;
            const values = gradientsAt(stream, 17);
            values['a']![0] = Number.NaN;
            const gradients = tensorsOf(stream, values);
            const before = await bitsOf(optimizer, variables);
            if (onNonFinite === 'skip') optimizer.applyGradients(gradients);
            else expect(() => optimizer.applyGradients(gradients)).toThrow(NonFiniteGradientError);
            tf.dispose(gradients);
            expect(await bitsOf(optimizer, variables)).toBe(before);
          });
          expect(deviation(found, expected)).toBe(0);
        }),
        { numRuns: 60 },
      );
    },
  );

  test('the report of memory is what there will be after the update', async () => {
    await fc.assert(
      fc.asyncProperty(examples(), async ({ composition, stream }) => {
        let [before, reported] = [0, 0];
        await run(stream, { ...optionsOf(composition), kernels }, async (optimizer, variables, step) => {
          if (step === 0) before = tf.memory().numBytes;
          expect(tf.memory().numBytes - before).toBe(reported);
          reported = optimizer.memoryReport(variables).totalStateBytes;
        });
      }),
      { numRuns: 60, examples: [[BEGUN_ANEW]] },
    );
  });
});
