import '@frugaljs/backend-wasm';
import '@frugaljs/backend-wasm/cpu';
import { type Projector, type Rule, randomKey, randomNormals, sizeOf } from '@frugaljs/core';
import { blockwise, columns, randK, rows } from '@frugaljs/projectors';
import { signSgd } from '@frugaljs/state-free';
import { adamW, lion, sgdm } from '@frugaljs/state-full';
import * as tf from '@tensorflow/tfjs-core';
import { describe, expect, test } from 'vitest';
import { useBackend } from '../../../tools/test-support/backends.js';
import { compose, residual, subspace } from '../src/index.js';
import './fixtures.js';

/** Longer than the chunks, tiles, places and groups of rows in which kernels work, and not divisible by them. */
const SHAPES = [[131, 257], [1, 20_011], [20_011], [5003, 3], [262, 128]] as const;
const STEPS = 3;

const split = (projector: Projector, rest: Rule): Rule =>
  subspace({ projector, rule: adamW(), combine: residual(rest), refresh: { every: 2 } });

const COMPOSITIONS: Record<string, () => Rule> = {
  adamW: () => adamW(),
  signSgd: () => signSgd(),
  rows: () => split(rows({ density: 0.3 }), signSgd()),
  'rows, state on the rest': () => split(rows({ density: 0.3 }), lion()),
  columns: () => split(columns({ density: 0.3 }), signSgd()),
  randK: () => split(randK({ density: 0.3 }), signSgd()),
  blockwise: () => split(blockwise({ density: 0.5 }), signSgd()),
  'nested rows': () => split(rows({ density: 0.2 }), split(rows({ density: 0.2 }), sgdm())),
  'nested columns': () => split(columns({ density: 0.2 }), split(columns({ density: 0.2 }), signSgd())),
  'nested randK': () => split(randK({ density: 0.2 }), split(randK({ density: 0.2 }), signSgd())),
};

function train(rule: Rule, kernels: 'auto' | 'reference', globalNorm: number | undefined): Float32Array[] {
  const isMatrixOnly = JSON.stringify(rule.options).match(/"kind":"(rows|columns)"/) !== null;
  const shapes = SHAPES.filter(shape => shape.length === 2 || !isMatrixOnly);
  const variables = shapes.map((shape, i) =>
    tf.tidy(() =>
      tf.variable(tf.tensor(randomNormals(randomKey(i, 'start'), sizeOf(shape)), [...shape]), true, `w${i}`),
    ),
  );
  const clip = globalNorm === undefined ? {} : { globalNorm };
  const optimizer = compose({ learningRate: 0.01, clip, groups: [{ use: rule, weightDecay: 0.1 }], kernels });
  for (let step = 0; step < STEPS; step++) {
    const gradients = variables.map((variable, i) => {
      return {
        name: variable.name,
        tensor: tf.tensor(
          randomNormals(randomKey(i, step), variable.size).map(x => (x * (step + 1)) / 2),
          variable.shape,
        ),
      };
    });
    optimizer.applyGradients(gradients);
    tf.dispose(gradients);
  }
  if (kernels === 'auto') expect(optimizer.explain().every(({ kernel }) => kernel.startsWith('fused'))).toBe(true);
  const values = variables.map(variable => variable.dataSync<'float32'>().slice());
  optimizer.dispose();
  tf.dispose(variables);
  return values;
}

describe.each(['wasm', 'cpu'])('fused kernels agree with the reference on large parameters on %s', backend => {
  useBackend(backend);

  test.each(Object.entries(COMPOSITIONS))('%s', (_, rule) => {
    // Gradients grow, and their norm passes the limit after the first step: kernels change on the way.
    for (const globalNorm of [undefined, 300]) {
      const [fused, reference] = [train(rule(), 'auto', globalNorm), train(rule(), 'reference', globalNorm)];
      fused.forEach((values, i) => {
        const worst = values.reduce((max, x, j) => Math.max(max, Math.abs(x - reference[i]![j]!)), 0);
        expect(worst).toBeLessThan(2e-6);
      });
    }
  });
});
