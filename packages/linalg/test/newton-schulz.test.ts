import { zeros } from '@tensorflow/tfjs-core';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { newtonSchulz } from '../src/index.js';
import { describeOnBackends, expectTensors } from './support/backends.js';
import {
  frobenius2,
  fromTensor,
  gaussianMatrix,
  type Matrix,
  product,
  referenceSvd,
  toTensor,
  transposed,
  withSpectrum,
} from './support/reference.js';

function orthogonalized(a: Matrix, options = {}): Matrix {
  const x = toTensor(a);
  const y = expectTensors(1, () => newtonSchulz(x, options));
  const result = fromTensor(y);
  x.dispose();
  y.dispose();
  return result;
}

/** The scalar map of one singular value, in float64. */
function mapped(s: number, steps = 5, [a, b, c] = [3.4445, -4.775, 2.0315]): number {
  let x = s;
  for (let i = 0; i < steps; i++) x = a! * x + b! * x ** 3 + c! * x ** 5;
  return x;
}

describeOnBackends('newtonSchulz', () => {
  it('keeps singular vectors and maps singular values by the quintic, for any shape', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 14 }), fc.integer({ min: 1, max: 14 }), fc.integer(), (m, n, seed) => {
        const a = gaussianMatrix(m, n, seed);
        const { values, left, right } = referenceSvd(a);
        const norm = Math.sqrt(frobenius2(a)) + 1e-7;
        const expected = product(
          left.map(row => row.map((x, i) => x * mapped(values[i]! / norm))),
          transposed(right),
        );
        orthogonalized(a).forEach((row, i) => {
          row.forEach((x, j) => {
            expect(Math.abs(x - expected[i]![j]!)).toBeLessThan(1e-4);
          });
        });
      }),
      { numRuns: 25 },
    );
  });

  it('brings singular values of at least 0.01 into [0.682, 1.134] and of at least 0.001 into [0.471, 1.202]', () => {
    for (const [smallest, low, high] of [
      [0.01, 0.682, 1.134],
      [0.001, 0.471, 1.202],
    ] as const) {
      const spectrum = Array.from({ length: 12 }, (_, i) => smallest ** (i / 11));
      const norm = Math.sqrt(spectrum.reduce((sum, s) => sum + s * s, 0));
      const a = withSpectrum(
        20,
        12,
        spectrum.map(s => ((s * norm) / smallest >= norm ? s : smallest)),
        3,
      );
      const relative = referenceSvd(a).values.map(s => s / Math.sqrt(frobenius2(a)));
      const { values } = referenceSvd(orthogonalized(a));
      values.forEach((value, i) => {
        if (relative[i]! < smallest) return;
        expect(value).toBeGreaterThan(low - 2e-3);
        expect(value).toBeLessThan(high + 2e-3);
      });
      expect(relative.filter(s => s >= smallest).length).toBeGreaterThan(5);
    }
  });

  it('takes other coefficients and step counts', () => {
    const a = withSpectrum(9, 6, [3, 2.5, 2, 1.5, 1.2, 1], 4);
    const { values } = referenceSvd(orthogonalized(a, { steps: 14, coefficients: [1.875, -1.25, 0.375] }));
    for (const value of values) expect(Math.abs(value - 1)).toBeLessThan(1e-5);
    expect(orthogonalized(a, { steps: 0 })[0]![0]!).toBeCloseTo(a[0]![0]! / Math.sqrt(frobenius2(a)), 5);
  });

  it('keeps a zero matrix zero', () => {
    expect(frobenius2(fromTensor(newtonSchulz(zeros([4, 3]))))).toBe(0);
  });
});
