import { soleSite } from '@frugaljs/core';
import { dctMatrix } from '@frugaljs/linalg';
import { dct } from '@frugaljs/projectors';
import { mul, range, sub, tensor, tensor1d, tidy, transpose } from '@tensorflow/tfjs-core';
import { describe, expect, it } from 'vitest';
import { BACKENDS, useBackend } from '../../../tools/test-support/backends.js';
import { dctVectors } from '../src/dct.js';
import { memoryOf } from './memory-of.js';
import { disposeBasis, distance, dot, normal } from './tensors.js';

/** The cosine matrix from its formula in float64. */
function cosine(size: number, i: number, j: number): number {
  const scale = Math.sqrt((i === 0 ? 1 : 2) / size);
  return scale * Math.cos((((i * (2 * j + 1)) % (4 * size)) * Math.PI) / (2 * size));
}

describe.each(BACKENDS)('dct on %s', backend => {
  useBackend(backend);

  it.each([1, 2, 7, 64, 2896, 2897, 12000])('makes the columns of the cosine matrix of size %i', size => {
    const frequencies = [...new Set([0, Math.floor(size / 3), size - 1])];
    tidy(() => {
      const found = dctVectors(size, tensor1d(frequencies, 'int32'));
      expect(found.shape).toEqual([size, frequencies.length]);
      const expected = Array.from({ length: size }, (_, i) => frequencies.map(j => cosine(size, i, j))).flat();
      expect(distance(found.dataSync(), expected)).toBeLessThan(2e-7);
    });
  });

  it('ranks the frequencies with the same matrix', () => {
    tidy(() => {
      const all = range(0, 37, 1, 'int32');
      expect(distance(dctVectors(37, all).dataSync(), dctMatrix(37).dataSync())).toBeLessThan(1e-7);
    });
  });

  it.each([
    ['l1', [9, 6]],
    ['l2', [9, 6]],
    ['l1', [5, 8]],
    ['l2', [5, 8]],
  ] as const)('takes the frequencies with the largest %s norm for shape %s', (norm, shape) => {
    tidy(() => {
      const [m, n] = shape;
      const [a, b] = [Math.min(m, n), Math.max(m, n)];
      const rank = 3;
      const g = normal(shape, norm, m);
      const values = g.dataSync();
      const at = (near: number, far: number): number => (m >= n ? values[far * n + near]! : values[near * n + far]!);
      const norms = Array.from({ length: a }, (_, j) => {
        const coefficients = Array.from({ length: b }, (_, far) =>
          Array.from({ length: a }, (_, i) => at(i, far) * cosine(a, i, j)).reduce((x, y) => x + y),
        );
        return coefficients.reduce((sum, c) => sum + (norm === 'l1' ? Math.abs(c) : c * c), 0);
      });
      const best = norms.map((value, j) => [value, j] as const).sort((x, y) => y[0] - x[0]);
      const expected = best
        .slice(0, rank)
        .map(([, j]) => j)
        .sort((x, y) => x - y);
      const site = soleSite('w', shape);
      const basis = dct({ rank, norm }).fit(g, null, { site, refreshIndex: 0 });
      expect(Array.from(basis.frequencies.dataSync())).toEqual(expected);
    });
  });

  it('finds a gradient that is made of few cosines', () => {
    tidy(() => {
      const [m, n] = [12, 8];
      const coefficients = normal([m, 2], 'c').dataSync();
      const g = tensor(
        Array.from({ length: m * n }, (_, k) => {
          const [i, j] = [Math.floor(k / n), k % n];
          return coefficients[2 * i]! * cosine(n, j, 1) + coefficients[2 * i + 1]! * cosine(n, j, 6);
        }),
        [m, n],
      );
      const site = soleSite('w', [m, n]);
      const projector = dct({ rank: 2 });
      const basis = projector.fit(g, null, { site, refreshIndex: 0 });
      expect(Array.from(basis.frequencies.dataSync())).toEqual([1, 6]);
      const missed = sub(g, projector.up(projector.down(g, basis, site), basis, site)).dataSync();
      expect(dot(missed, missed)).toBeLessThan(1e-11);
    });
  });

  it('l2 misses the least of all choices of that many frequencies', () => {
    tidy(() => {
      const site = soleSite('w', [10, 6]);
      const g = normal([10, 6], 'heavy');
      const cubed = mul(mul(g, g), g);
      const missed = (frequencies: readonly number[]): number => {
        const projector = dct({ rank: 2 });
        const basis = { frequencies: tensor1d([...frequencies], 'int32') };
        const residual = sub(cubed, projector.up(projector.down(cubed, basis, site), basis, site)).dataSync();
        return dot(residual, residual);
      };
      const chosen = dct({ rank: 2, norm: 'l2' }).fit(cubed, null, { site, refreshIndex: 0 }).frequencies.dataSync();
      const least = missed(Array.from(chosen));
      for (let i = 0; i < 6; i++) {
        for (let j = i + 1; j < 6; j++) expect(least).toBeLessThanOrEqual(missed([i, j]) * (1 + 1e-5));
      }
    });
  });

  it('carries state exactly between two choices', () => {
    tidy(() => {
      for (const shape of [
        [9, 6],
        [4, 6],
      ] as const) {
        const site = soleSite('w', shape);
        const projector = dct({ rank: 3 });
        const from = { frequencies: tensor1d([0, 1, 3], 'int32') };
        const to = { frequencies: tensor1d([1, 2, 3], 'int32') };
        const right = shape[0] >= shape[1];
        const x = normal(right ? [shape[0], 3] : [3, shape[1]], 'x');
        for (const degree of [1, 2] as const) {
          const carried = projector.transport!(x, from, to, site, degree);
          const [before, after] = [x, carried].map(y => (right ? transpose(y) : y).dataSync());
          const length = before!.length / 3;
          // Frequency 1 was second and is first, 3 stays last, 2 enters with zeros.
          expect(after).toEqual(
            new Float32Array([
              ...before!.subarray(length, 2 * length),
              ...new Array(length).fill(0),
              ...before!.subarray(2 * length),
            ]),
          );
        }
      }
    });
  });

  it('keeps nothing on the device but the frequencies', () => {
    const site = soleSite('w', [30, 20]);
    const projector = dct({ density: 0.25 });
    const g = normal([30, 20], 'g');
    const { tensors, bytes } = memoryOf(() => projector.fit(g, null, { site, refreshIndex: 0 }));
    expect({ tensors, bytes }).toEqual({ tensors: 1, bytes: 4 * 5 });
    g.dispose();
  });

  it('has no basis at full rank', () => {
    const site = soleSite('w', [6, 6]);
    const projector = dct({ density: 1 });
    expect(projector.basis(site)).toEqual({});
    const g = normal([6, 6], 'g');
    const basis = projector.fit(g, null, { site, refreshIndex: 0 });
    expect(basis).toEqual({});
    disposeBasis(basis);
    g.dispose();
  });
});
