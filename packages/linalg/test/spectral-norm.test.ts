import fc from 'fast-check';
import { expect, it } from 'vitest';
import { spectralNorm } from '../src/index.js';
import { describeOnBackends, expectTensors } from './support/backends.js';
import { gaussianMatrix, type Matrix, referenceSvd, toTensor } from './support/reference.js';

function norm(a: Matrix, iterations?: number): number {
  const x = toTensor(a);
  const result = expectTensors(1, () => spectralNorm(x, { iterations }));
  const value = result.dataSync()[0]!;
  x.dispose();
  result.dispose();
  return value;
}

describeOnBackends('spectralNorm', () => {
  it('approaches the largest singular value from below', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 20 }), fc.integer({ min: 1, max: 20 }), fc.integer(), (m, n, seed) => {
        const a = gaussianMatrix(m, n, seed);
        const expected = referenceSvd(a).values[0]!;
        const found = norm(a, 60);
        expect(found).toBeLessThan(expected * (1 + 1e-5));
        expect(found).toBeGreaterThan(expected * 0.98);
      }),
      { numRuns: 20 },
    );
  });

  it('is 0 for a zero matrix and scales with tiny and huge ones', () => {
    const a = gaussianMatrix(6, 4, 1);
    expect(norm(a.map(row => row.map(() => 0)))).toBe(0);
    for (const scale of [1e-30, 1e30]) {
      expect(norm(a.map(row => row.map(x => x * scale))) / scale / norm(a)).toBeCloseTo(1, 5);
    }
  });
});
