import '@frugaljs/backend-wasm';
import { InvalidStateError, type Projector, type Rule } from '@frugaljs/core';
import { randK } from '@frugaljs/projectors';
import { signSgd } from '@frugaljs/state-free';
import { adamW } from '@frugaljs/state-full';
import * as tf from '@tensorflow/tfjs-core';
import { describe, expect, test } from 'vitest';
import { type ComposedOptimizer, compose, residual, subspace } from '../src/index.js';
import { gradientsAt, type Stream, startOf } from './trajectory.js';
import './fixtures.js';

const STREAM: Stream = { shapes: { w: [6, 8], v: [7, 5] }, seed: 3, steps: 14 };
const SAVED_AT = 5;

/** randK as it was when it had one revision. */
function firstRandK({ density }: { readonly density: number }): Projector {
  const { revision: _, ...rest } = randK({ density });
  return { ...rest, fit: (g, previous, context) => rest.fit(g, previous, { ...context, revision: 1 }) };
}

type Factory = typeof firstRandK;

const COMPOSITIONS: Readonly<Record<string, (draw: Factory) => Rule>> = {
  'a split': draw =>
    subspace({
      projector: draw({ density: 0.5 }),
      rule: adamW(),
      combine: residual(signSgd()),
      refresh: { every: 4 },
      onRefresh: 'transport',
    }),
  // The outer split moves between two choices of the inner one, which has to keep clear of the earlier place.
  'nested splits': draw =>
    subspace({
      projector: draw({ density: 0.3 }),
      rule: adamW(),
      combine: residual(
        subspace({
          projector: draw({ density: 0.3 }),
          rule: adamW(),
          combine: residual(signSgd()),
          refresh: { every: 7 },
        }),
      ),
      refresh: { every: 3 },
    }),
};

interface Training {
  readonly optimizer: ComposedOptimizer;
  readonly variables: readonly tf.Variable[];
}

function training(use: Rule): Training {
  const variables = Object.entries(startOf(STREAM)).map(([key, values]) =>
    tf.tidy(() => tf.variable(tf.tensor(values, [...STREAM.shapes[key]!]), true, key)),
  );
  return { optimizer: compose({ learningRate: 0.1, groups: [{ use }] }), variables };
}

function valuesOf({ variables }: Training): Float32Array[] {
  return variables.map(variable => variable.dataSync().slice() as Float32Array);
}

function end({ optimizer, variables }: Training): void {
  optimizer.dispose();
  tf.dispose([...variables]);
}

function steps({ optimizer }: Training, from: number, to: number): void {
  for (let step = from; step < to; step++) {
    const values = gradientsAt(STREAM, step);
    const gradients = Object.fromEntries(
      Object.keys(values).map(name => [name, tf.tensor(values[name]!, [...STREAM.shapes[name]!])]),
    );
    optimizer.applyGradients(gradients);
    tf.dispose(gradients);
  }
}

async function stateOf({ optimizer }: Training): Promise<{ name: string; tensor: tf.Tensor }[]> {
  return (await optimizer.getWeights()).map(({ name, tensor }) => ({
    name,
    tensor: tf.tensor(tensor.dataSync().slice(), tensor.shape, tensor.dtype),
  }));
}

describe.each(['cpu', 'wasm'])('on %s', backend => {
  test.each(Object.keys(COMPOSITIONS))(
    'state that the first revision saved goes on as it would have (%s)',
    async name => {
      await tf.setBackend(backend);
      const before = tf.memory().numTensors;
      const earlier = training(COMPOSITIONS[name]!(firstRandK));
      steps(earlier, 0, SAVED_AT);
      const saved = await stateOf(earlier);
      expect(saved.some(({ name: path }) => path.endsWith('/revision') || path.endsWith('::revision'))).toBe(false);
      const values = valuesOf(earlier);
      steps(earlier, SAVED_AT, STREAM.steps);
      const expected = valuesOf(earlier);
      end(earlier);

      const now = training(COMPOSITIONS[name]!(randK));
      now.variables.forEach((variable, i) => {
        tf.tidy(() => {
          variable.assign(tf.tensor(values[i]!, variable.shape));
        });
      });
      await now.optimizer.setWeights(saved);
      // And once more through a save of the present version.
      steps(now, SAVED_AT, 8);
      const again = await stateOf(now);
      await now.optimizer.setWeights(again);
      steps(now, 8, STREAM.steps);
      expect(valuesOf(now)).toEqual(expected);
      end(now);

      const fresh = training(COMPOSITIONS[name]!(randK));
      steps(fresh, 0, STREAM.steps);
      expect(valuesOf(fresh), 'a run that begins now makes other choices').not.toEqual(expected);
      end(fresh);
      for (const { tensor } of [...saved, ...again]) tensor.dispose();
      expect(tf.memory().numTensors).toBe(before);
    },
  );

  test('state of a revision that is not known is refused, by name', async () => {
    await tf.setBackend(backend);
    const now = training(COMPOSITIONS['a split']!(randK));
    steps(now, 0, SAVED_AT);
    const saved = await stateOf(now);
    expect(saved.filter(({ name }) => name.endsWith('::revision')).map(({ tensor }) => tensor.dataSync()[0])).toEqual([
      2, 2,
    ]);
    end(now);
    const earlier = training(COMPOSITIONS['a split']!(firstRandK));
    steps(earlier, 0, 1);
    const refused = async (): Promise<unknown> => earlier.optimizer.setWeights(saved);
    await expect(refused()).rejects.toThrow(InvalidStateError);
    await expect(refused()).rejects.toThrow(
      'w::revision: expected a revision from 1 to 1, found a subspace chosen by revision 2 of randK',
    );
    for (const { tensor } of saved) tensor.dispose();
    end(earlier);
  });
});
