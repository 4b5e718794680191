import { randomKey, randomNormals, UnsupportedShapeError } from '@frugaljs/core';
import { adamW, type LdAdamOptions, ldAdam } from '@frugaljs/state-full';
import { describe, expect, it } from 'vitest';
import { BACKENDS, useBackend } from '../../../tools/test-support/backends.js';
import { expectAllClose, expectClose } from '../../../tools/test-support/closeness.js';
import { gradientStream } from '../../../tools/test-support/gradients.js';
import { directions, RuleRun } from '../../../tools/test-support/rule-run.js';
import { combined, gramSchmidt, type Matrix, matrixOf, product, transposed, zeros } from './matrix.js';

const map = (x: Matrix, f: (a: number) => number): Matrix => x.map(row => row.map(f));

/** Leading left singular vectors, by many power iterations. */
function singularVectors(x: Matrix, rank: number): Matrix {
  const gram = product(x, transposed(x));
  let basis = gramSchmidt(matrixOf(randomNormals(randomKey(5), x.length * rank), rank));
  for (let i = 0; i < 4000; i++) basis = gramSchmidt(product(gram, basis));
  return basis;
}

/** The algorithm as published, in float64 and from the left, with its own state from one step to the next. */
function published(
  gradients: readonly Matrix[],
  { beta1 = 0.908, beta2 = 0.99, epsilon = 1e-8, rank, interpolation = 0.908, feedback = true }: LdAdamOptions,
): Matrix[] {
  const [rows, columns] = [gradients[0]!.length, gradients[0]![0]!.length];
  let previous = zeros(rows, rank!);
  let [m, v, error] = [zeros(rank!, columns), zeros(rank!, columns), zeros(rows, columns)];
  return gradients.map((gradient, k) => {
    const a = combined(gradient, error, (x, e) => x + (feedback ? e : 0));
    const momentum = product(previous, m);
    const [c1, c2] = [1 - beta1 ** k, 1 - beta2 ** k];
    let basis: Matrix;
    if (k === 0) basis = singularVectors(a, rank!);
    else {
      const b = combined(momentum, a, (x, y) => (interpolation * x) / c1 + (1 - interpolation) * y);
      basis = gramSchmidt(product(b, product(transposed(b), previous)));
    }
    const low = product(transposed(basis), a);
    const change = product(transposed(basis), previous);
    const carried = product(change, m);
    const lost = combined(momentum, product(basis, carried), (x, y) => (beta1 / (1 - beta1)) * (x - y));
    error = combined(
      combined(a, product(basis, low), (x, y) => x - y),
      lost,
      (x, y) => x + y,
    );
    if (k > 0) {
      const variance = combined(v, m, (x, y) => x / c2 - (y / c1) ** 2);
      const moved = product(
        map(change, x => x * x),
        variance,
      );
      v = combined(moved, carried, (x, y) => c2 * Math.abs(x + (y / c1) ** 2));
    }
    m = combined(carried, low, (x, y) => beta1 * x + (1 - beta1) * y);
    v = combined(v, low, (x, y) => beta2 * x + (1 - beta2) * y * y);
    previous = basis;
    const step = combined(
      m,
      v,
      (x, y) => x / (1 - beta1 ** (k + 1)) / (Math.sqrt(y / (1 - beta2 ** (k + 1))) + epsilon),
    );
    return product(basis, step);
  });
}

describe.each(BACKENDS)('ldAdam on %s', backend => {
  useBackend(backend);

  it.each<LdAdamOptions>([
    { rank: 2 },
    { rank: 1, beta1: 0.5, beta2: 0.9, epsilon: 0.1 },
    { rank: 3, feedback: false },
    { rank: 2, interpolation: 0 },
    { rank: 2, beta1: 0 },
  ])('follows the published algorithm from both sides with %o', options => {
    const gradients = gradientStream(61, [5, 8], 6);
    const matrices = gradients.map(g => matrixOf(g, 8));
    const expected = published(matrices, options);
    expectAllClose(
      directions(ldAdam(options), [5, 8], gradients),
      expected.map(d => d.flat()),
      3e-5,
    );
    expectAllClose(
      directions(
        ldAdam(options),
        [8, 5],
        matrices.map(g => transposed(g).flat()),
      ),
      expected.map(d => transposed(d).flat()),
      3e-5,
    );
  });

  it('is Adam in fixed coordinates where the gradients stay in one subspace', () => {
    // Both basis vectors lie in the first two rows, in which singular vectors of such gradients are coordinates.
    const gradients = gradientStream(62, [1, 6], 8).map((noise, t) => {
      const g = new Float32Array(24);
      g.set(
        [3, 3, 3, 0, 0, 0].map((x, i) => x * (1 + 0.1 * Math.tanh(noise[i]!) + 0.01 * t)),
        0,
      );
      g.set(
        [0, 0, 0, 1, 1, 1].map((x, i) => x * (1 + 0.1 * Math.tanh(noise[i]!))),
        6,
      );
      return g;
    });
    const betas = { beta1: 0.9, beta2: 0.99 };
    const expected = directions(adamW(betas), [4, 6], gradients);
    expectAllClose(
      directions(ldAdam({ ...betas, rank: 2 }), [4, 6], gradients),
      expected.map(d => [...d]),
      1e-4,
    );
  });

  it('keeps what the subspace misses, and steps by it later', () => {
    const gradient = [3, 0, 0, 0, 1e-3, 0, 0, 0, 0];
    const run = new RuleRun(ldAdam({ rank: 1 }), [3, 3]);
    run.step(gradient);
    expectClose(run.slot('error'), [0, 0, 0, 0, 1e-3, 0, 0, 0, 0], 1e-6);
    run.dispose();
  });
});

describe('ldAdam', () => {
  useBackend('cpu');

  it('projects the smaller dimension, or the one it is told', () => {
    const shapesOf = (options: LdAdamOptions, shape: number[]): Record<string, readonly number[]> => {
      const run = new RuleRun(ldAdam(options), shape);
      const shapes = run.slotShapes();
      run.dispose();
      return shapes;
    };
    expect(shapesOf({ rank: 2 }, [4, 6])).toEqual({ basis: [4, 2], m: [2, 6], v: [2, 6], error: [4, 6] });
    expect(shapesOf({ rank: 2, feedback: false }, [6, 4])).toEqual({ basis: [4, 2], m: [6, 2], v: [6, 2] });
    expect(shapesOf({ rank: 2, side: 'reverse_std', feedback: false }, [6, 4])).toEqual({
      basis: [6, 2],
      m: [2, 4],
      v: [2, 4],
    });
    expect(shapesOf({ density: 0.01, side: 'left', feedback: false }, [6, 4])['basis']).toEqual([6, 1]);
  });

  it.each([[[]], [[4]], [[2, 3, 4]]])('refuses the shape %o', shape => {
    expect(() => ldAdam().state(shape)).toThrow(UnsupportedShapeError);
  });

  it('refuses a rank above the smaller dimension, and a rank beside a density', () => {
    expect(() => ldAdam({ rank: 4 }).state([3, 9])).toThrow(/ldAdam\.rank: expected at most 3/);
    expect(() => ldAdam({ rank: 4, density: 0.5 })).toThrow(/ldAdam\.density: expected none beside a rank/);
    expect(() => ldAdam({ rank: null, density: null })).toThrow(/ldAdam\.density: expected a number in \(0, 1\]/);
  });
});
