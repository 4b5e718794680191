import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { quarterWaveCosines } from '../src/dct.js';
import { dctEntries, dctMatrix } from '../src/index.js';
import { describeOnBackends, expectTensors } from './support/backends.js';
import { fromTensor, orthonormalityError } from './support/reference.js';

describe('quarterWaveCosines', () => {
  it('agrees with Math.cos to float64 rounding and is exact at both ends', () => {
    for (const a of [1, 2, 3, 64, 1000]) {
      const table = quarterWaveCosines(a);
      expect(table[0]).toBe(1);
      expect(table[a]).toBe(0);
      table.forEach((value, k) => {
        expect(Math.abs(value - Math.cos((Math.PI * k) / (2 * a)))).toBeLessThan(4.5e-16);
      });
    }
  });
});

describe('dctEntries', () => {
  it('follows the formula of the orthonormal DCT-II', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 70 }), a => {
        dctEntries(a).forEach((value, index) => {
          const [i, j] = [Math.floor(index / a), index % a];
          const expected = Math.sqrt((i === 0 ? 1 : 2) / a) * Math.cos((i * (2 * j + 1) * Math.PI) / (2 * a));
          expect(Math.abs(value - expected)).toBeLessThan(1e-7);
        });
      }),
      { numRuns: 20 },
    );
  });

  it('has the same bits on every engine: a fingerprint of size 96', () => {
    const bytes = new Uint8Array(dctEntries(96).buffer);
    expect(createHash('sha256').update(bytes).digest('hex').slice(0, 16)).toBe('240f5742b8baadf9');
  });

  it('rejects sizes that are no count, and accepts 0', () => {
    expect(() => dctEntries(2.5)).toThrow('a: found 2.5');
    expect(dctEntries(0).length).toBe(0);
  });
});

describeOnBackends('dctMatrix', () => {
  it('is an orthonormal tensor', () => {
    for (const a of [1, 2, 7, 48, 130]) {
      const q = expectTensors(1, () => dctMatrix(a));
      expect(orthonormalityError(fromTensor(q))).toBeLessThan(5e-7);
      q.dispose();
    }
  });
});
