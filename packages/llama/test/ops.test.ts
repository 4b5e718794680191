import '@tensorflow/tfjs-layers';
import {
  add,
  dispose,
  grads,
  memory,
  mul,
  type Scalar,
  sub,
  sum,
  type Tensor,
  type Tensor1D,
  type Tensor2D,
  type Tensor4D,
  tensor,
  tensor1d,
  tensor2d,
  tidy,
} from '@tensorflow/tfjs-core';
import { describe, expect, it } from 'vitest';
import { BACKENDS, useBackend } from '../../../tools/test-support/backends.js';
import {
  causalAttention,
  causalMask,
  differentiable,
  embed,
  linearCrossEntropy,
  rmsNorm,
  rotaryFrequencies,
  rotaryTables,
  rotate,
  swiglu,
} from '../src/ops.js';
import { randomKey, randomNormals } from '../src/random.js';
import { plainAttention, plainCrossEntropy, plainEmbed, plainRmsNorm, plainRotate, plainSwiglu } from './plain-ops.js';

interface Case {
  readonly name: string;
  readonly inputs: readonly (readonly number[])[];
  /** Built inside a tidy, so constants may be made there. */
  readonly fused: (...inputs: Tensor[]) => Tensor;
  readonly plain: (...inputs: Tensor[]) => Tensor;
}

const LENGTH = 5;
const HEAD_DIM = 6;
const mask = (): Tensor2D => tensor2d(causalMask(LENGTH), [LENGTH, LENGTH]);
const table = (values: Float32Array): Tensor2D => tensor2d(values, [LENGTH, HEAD_DIM]);
// Repeated ids, so that gradients have to add up.
const ids = (): Tensor1D => tensor1d([3, 0, 3, 3, 6, 1, 0], 'int32');

function attentionCase(heads: number, keyValueHeads: number): Case {
  return {
    name: `causal attention, ${heads} query and ${keyValueHeads} key heads`,
    inputs: [heads, keyValueHeads, keyValueHeads].map(count => [2, count, LENGTH, HEAD_DIM]),
    fused: (q, k, v) => causalAttention(q as Tensor4D, k as Tensor4D, v as Tensor4D, mask()),
    plain: (q, k, v) => plainAttention(q as Tensor4D, k as Tensor4D, v as Tensor4D, mask()),
  };
}

function crossEntropyCase(name: string, maxLogits: number): Case {
  return {
    name: `linear cross-entropy, ${name}`,
    inputs: [
      [7, 4],
      [9, 4],
    ],
    fused: (h, w) => linearCrossEntropy(h as Tensor2D, w as Tensor2D, ids(), maxLogits),
    plain: (h, w) => plainCrossEntropy(h as Tensor2D, w as Tensor2D, ids()),
  };
}

const cases: readonly Case[] = [
  {
    name: 'RMS normalization',
    inputs: [[6, 8], [8]],
    fused: (x, w) => rmsNorm(x as Tensor2D, w as Tensor1D, 1e-3),
    plain: (x, w) => plainRmsNorm(x as Tensor2D, w as Tensor1D, 1e-3),
  },
  {
    name: 'SwiGLU',
    inputs: [
      [5, 7],
      [5, 7],
    ],
    fused: (gate, up) => swiglu(gate as Tensor2D, up as Tensor2D),
    plain: (gate, up) => plainSwiglu(gate as Tensor2D, up as Tensor2D),
  },
  {
    name: 'rotary embedding, scaled',
    inputs: [[2, 3, LENGTH, HEAD_DIM]],
    fused: x => {
      const { cosines, sines } = rotaryTables(LENGTH, rotaryFrequencies(HEAD_DIM, 100, null), 0.5);
      return rotate(x as Tensor4D, { cosines: table(cosines), sines: table(sines) });
    },
    plain: x => {
      const angle = (i: number): number => Math.floor(i / HEAD_DIM) * 100 ** ((-2 * (i % (HEAD_DIM / 2))) / HEAD_DIM);
      const values = (f: (x: number) => number): Float32Array =>
        Float32Array.from({ length: LENGTH * HEAD_DIM }, (_, i) => 0.5 * f(angle(i)));
      return plainRotate(x as Tensor4D, table(values(Math.cos)), table(values(Math.sin)));
    },
  },
  attentionCase(4, 4),
  attentionCase(4, 2),
  attentionCase(3, 1),
  {
    name: 'embedding with repeated ids',
    inputs: [[9, 4]],
    fused: weight => embed(weight as Tensor2D, ids()),
    plain: weight => plainEmbed(weight as Tensor2D, ids()),
  },
  crossEntropyCase('all rows at once', 1000),
  crossEntropyCase('chunks of 2 rows, the last shorter', 18),
  crossEntropyCase('row by row', 1),
];

function random(shape: readonly number[], label: string, scale = 1): Tensor {
  const size = shape.reduce((product, extent) => product * extent, 1);
  return tensor(randomNormals(randomKey(7, label), size, scale), shape as number[]);
}

/** A scalar whose gradient by the op's output is a fixed random direction, so every entry of the Jacobian counts. */
function weighted(op: (...inputs: Tensor[]) => Tensor): (...inputs: Tensor[]) => Scalar {
  return (...inputs) => {
    const output = op(...inputs);
    return sum(mul(output, random(output.shape, 'direction'))) as Scalar;
  };
}

function expectClose(actual: Tensor, expected: Tensor, tolerance: number): void {
  expect(actual.shape).toEqual(expected.shape);
  const a = actual.dataSync();
  const e = expected.dataSync() as Float32Array;
  const scale = e.reduce((largest, value) => Math.max(largest, Math.abs(value)), 1e-3);
  for (let i = 0; i < e.length; i++) expect(Math.abs(a[i]! - e[i]!)).toBeLessThan(tolerance * scale);
}

describe.each(BACKENDS)('fused ops on %s', backend => {
  useBackend(backend);

  it.each(cases)('$name: value and gradients equal those of plain ops', ({ inputs, fused, plain }) => {
    const before = memory().numTensors;
    tidy(() => {
      const xs = inputs.map((shape, i) => random(shape, `input ${i}`));
      expectClose(fused(...xs), plain(...xs), 1e-5);
      const actual = grads(weighted(fused))(xs);
      const expected = grads(weighted(plain))(xs);
      for (const [i, gradient] of actual.entries()) expectClose(gradient, expected[i]!, 2e-5);
    });
    expect(memory().numTensors).toBe(before);
  });

  it.each(cases)('$name: the gradient predicts a small change', ({ inputs, fused }) => {
    tidy(() => {
      const xs = inputs.map((shape, i) => random(shape, `input ${i}`));
      const steps = inputs.map((shape, i) => random(shape, `step ${i}`, 0.01));
      const f = weighted(fused);
      const gradients = grads(f)(xs);
      const predicted = gradients.reduce((total, g, i) => total + sum(mul(g, steps[i]!)).dataSync()[0]!, 0);
      const ahead = f(...xs.map((x, i) => add(x, steps[i]!))).dataSync()[0]!;
      const behind = f(...xs.map((x, i) => sub(x, steps[i]!))).dataSync()[0]!;
      const size = Math.max(1, Math.abs(predicted));
      // The third derivative of the step and float32 rounding of the two values limit the agreement.
      expect(Math.abs((ahead - behind) / 2 - predicted)).toBeLessThan(2e-3 * size);
      expect(Math.abs(predicted)).toBeGreaterThan(1e-4);
    });
  });

  it('frees the temporaries of a gradient before the next one is computed', () => {
    tidy(() => {
      const counts: number[] = [];
      const probe = (x: Tensor): Tensor =>
        differentiable([x], () => ({
          value: x.clone(),
          gradient: dy => {
            counts.push(memory().numTensors);
            return [dy.clone()];
          },
        }));
      const gate = random([2, 3], 'gate');
      const up = random([2, 3], 'up');
      grads((g, u) => sum(probe(swiglu(probe(g) as Tensor2D, u as Tensor2D))))([gate, up]);
      // Between the probes: the two gradients of swiglu and the clone that the first probe returned.
      expect(counts[1]! - counts[0]!).toBe(3);
    });
  });

  it('keeps no logits for the backward pass of the loss', () => {
    const hidden = random([7, 4], 'hidden') as Tensor2D;
    const weight = random([9, 4], 'weight') as Tensor2D;
    const targets = ids();
    const before = memory().numTensors;
    const loss = linearCrossEntropy(hidden, weight, targets, 18);
    expect(memory().numTensors).toBe(before + 1);
    dispose([hidden, weight, targets, loss]);
  });
});
