import { randomKey, randomNormals, UnsupportedShapeError } from '@frugaljs/core';
import { type MuonOptions, muon } from '@frugaljs/state-full';
import { memory, tensor2d } from '@tensorflow/tfjs-core';
import { describe, expect, it } from 'vitest';
import { BACKENDS, useBackend } from '../../../tools/test-support/backends.js';
import { expectAllClose, expectClose } from '../../../tools/test-support/closeness.js';
import { gradientStream } from '../../../tools/test-support/gradients.js';
import { directions } from '../../../tools/test-support/rule-run.js';
import { newtonSchulz } from '../src/muon.js';
import { singularValues } from './matrix.js';

type Matrix = number[][];

const transposed = (x: Matrix): Matrix => x[0]!.map((_, j) => x.map(row => row[j]!));
const product = (x: Matrix, y: Matrix): Matrix =>
  x.map(row => y[0]!.map((_, j) => row.reduce((sum, value, k) => sum + value * y[k]![j]!, 0)));
const combined = (a: number, x: Matrix, b: number, y: Matrix): Matrix =>
  x.map((row, i) => row.map((value, j) => a * value + b * y[i]![j]!));

/** The iteration as published, in float64 and without choosing the smaller side. */
function iterated(x: Matrix, steps: number): Matrix {
  const norm = Math.sqrt(x.flat().reduce((sum, value) => sum + value * value, 0)) + 1e-7;
  let result = x.map(row => row.map(value => value / norm));
  for (let i = 0; i < steps; i++) {
    const gram = product(result, transposed(result));
    const polynomial = combined(-4.775, gram, 2.0315, product(gram, gram));
    result = combined(3.4445, result, 1, product(polynomial, result));
  }
  return result;
}

function asMatrix(x: ArrayLike<number>, columns: number): Matrix {
  return Array.from({ length: x.length / columns }, (_, i) =>
    Array.from({ length: columns }, (_, j) => x[i * columns + j]!),
  );
}

function reference(
  gradients: readonly ArrayLike<number>[],
  columns: number,
  options: Required<MuonOptions>,
): number[][] {
  const { momentum: mu, nesterov, steps, outputs } = options;
  const m = new Float64Array(gradients[0]!.length);
  const ratio = m.length / columns / columns;
  const scale = Math.sqrt(Math.max(1, outputs === 'rows' ? ratio : 1 / ratio));
  return gradients.map(gradient => {
    const ahead = Array.from(gradient, (g, i) => {
      m[i] = mu * m[i]! + (1 - mu) * g;
      return nesterov ? (1 - mu) * g + mu * m[i]! : m[i]!;
    });
    return iterated(asMatrix(ahead, columns), steps)
      .flat()
      .map(value => value * scale);
  });
}

describe.each(BACKENDS)('muon on %s', backend => {
  useBackend(backend);

  it.each<MuonOptions>([{}, { nesterov: false, momentum: 0.8 }, { steps: 3 }, { outputs: 'columns' }])(
    'follows the published iteration with %o',
    options => {
      const filled = { momentum: 0.95, nesterov: true, steps: 5, outputs: 'rows' as const, ...options };
      for (const [rows, columns] of [
        [1, 1],
        [4, 4],
        [3, 7],
        [7, 3],
        [1, 6],
        [6, 1],
      ] as const) {
        const gradients = gradientStream(30, [rows, columns], 10);
        // Entries far below the others carry the rounding errors of the matrix products.
        expectAllClose(
          directions(muon(options), [rows, columns], gradients),
          reference(gradients, columns, filled),
          3e-5,
        );
      }
    },
  );

  it('moves the singular values close to 1', () => {
    for (const [rows, columns] of [
      [8, 8],
      [5, 12],
      [12, 5],
    ] as const) {
      const gradient = randomNormals(randomKey(31, rows, columns), rows * columns);
      const before = singularValues(gradient, rows, columns);
      const norm = Math.hypot(...before);
      expect(before.at(-1)! / norm).toBeGreaterThan(0.001);
      const [low, high] = before.at(-1)! / norm > 0.01 ? [0.682, 1.134] : [0.471, 1.202];
      const [d] = directions(muon(), [rows, columns], [gradient]);
      const scale = Math.sqrt(Math.max(1, rows / columns));
      for (const value of singularValues(d!, rows, columns)) {
        expect(value / scale).toBeGreaterThan(low! - 1e-3);
        expect(value / scale).toBeLessThan(high! + 1e-3);
      }
    }
  });

  it('maps a gradient of zeros to zeros', () => {
    expect(directions(muon(), [2, 3], [new Float32Array(6)])[0]).toEqual(new Float32Array(6));
  });
});

describe('muon', () => {
  useBackend('cpu');

  it('bounds the spectral norm by 1.21 √max(1, m / n)', () => {
    for (const [rows, columns] of [
      [2, 8],
      [16, 2],
      [6, 6],
    ] as const) {
      const bound = 1.21 * Math.sqrt(Math.max(1, rows / columns));
      for (const d of directions(muon(), [rows, columns], gradientStream(32, [rows, columns], 20))) {
        expect(singularValues(d, rows, columns)[0]!).toBeLessThanOrEqual(bound);
      }
    }
  });

  it('scales with the outputs on either axis', () => {
    const gradients = gradientStream(33, [2, 8], 1);
    const [rows] = directions(muon({ outputs: 'rows' }), [2, 8], gradients);
    const [columns] = directions(muon({ outputs: 'columns' }), [2, 8], gradients);
    expectClose(
      columns!,
      rows!.map(x => 2 * x),
    );
  });

  it.each([[[]], [[4]], [[2, 3, 4]]])('refuses the shape %o', shape => {
    expect(() => muon().state(shape)).toThrow(UnsupportedShapeError);
  });

  it('iterates without a leak', () => {
    const x = tensor2d([1, 2, 3, 4, 5, 6], [3, 2]);
    const before = memory().numTensors;
    newtonSchulz(x, 5).dispose();
    expect(memory().numTensors).toBe(before);
    x.dispose();
  });
});
