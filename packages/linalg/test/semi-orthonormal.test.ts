import fc from 'fast-check';
import { expect, it } from 'vitest';
import { semiOrthonormal } from '../src/index.js';
import { describeOnBackends, expectTensors } from './support/backends.js';
import {
  fromTensor,
  gaussianMatrix,
  orthonormalityError,
  product,
  referenceQr,
  toTensor,
  transposed,
} from './support/reference.js';

describeOnBackends('semiOrthonormal', () => {
  it('has orthonormal columns if tall and rows if wide, on both paths', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 12 }), fc.integer({ min: 1, max: 12 }), fc.integer(), (m, n, seed) => {
        for (const host of [true, false]) {
          const x = toTensor(gaussianMatrix(m, n, seed));
          const q = expectTensors(1, () => semiOrthonormal(x, { host }));
          const result = fromTensor(q);
          expect(orthonormalityError(m >= n ? result : transposed(result))).toBeLessThan(3e-6);
          x.dispose();
          q.dispose();
        }
      }),
      { numRuns: 5 },
    );
  });

  it('is the Q with positive diagonal of R, the same on both paths', () => {
    const a = gaussianMatrix(60, 20, 5);
    const expected = referenceQr(a);
    for (const host of [true, false]) {
      const q = fromTensor(semiOrthonormal(toTensor(a), { host }));
      q.forEach((row, i) => {
        row.forEach((x, j) => {
          expect(Math.abs(x - expected[i]![j]!)).toBeLessThan(5e-6);
        });
      });
    }
  });

  it('is Haar distributed: the mean of Q Q^T is (r / dim) I, and no sign is preferred', () => {
    const [dim, r, samples] = [6, 2, 1500];
    const mean = Array.from({ length: dim }, () => new Array<number>(dim).fill(0));
    let positive = 0;
    for (let s = 0; s < samples; s++) {
      const x = toTensor(gaussianMatrix(dim, r, 1000 + s));
      const tensor = semiOrthonormal(x, { host: true });
      const q = fromTensor(tensor);
      x.dispose();
      tensor.dispose();
      if (q[0]![0]! > 0) positive++;
      product(q, transposed(q)).forEach((row, i) => {
        row.forEach((value, j) => {
          mean[i]![j]! += value / samples;
        });
      });
    }
    // Standard deviation of one entry is below 0.3, of the mean below 0.008.
    mean.forEach((row, i) => {
      row.forEach((value, j) => {
        expect(Math.abs(value - (i === j ? r / dim : 0))).toBeLessThan(0.035);
      });
    });
    expect(Math.abs(positive / samples - 0.5)).toBeLessThan(0.06);
  });
});
