import { randomKey, randomNormals, UnsupportedShapeError } from '@frugaljs/core';
import { adamW, type SoapOptions, soap } from '@frugaljs/state-full';
import { describe, expect, it } from 'vitest';
import { BACKENDS, useBackend } from '../../../tools/test-support/backends.js';
import { expectAllClose } from '../../../tools/test-support/closeness.js';
import { gradientStream } from '../../../tools/test-support/gradients.js';
import { directions, RuleRun } from '../../../tools/test-support/rule-run.js';
import { combined, gramSchmidt, type Matrix, matrixOf, product, transposed, zeros } from './matrix.js';

const columnsIn = (x: Matrix, order: readonly number[]): Matrix => x.map(row => order.map(j => row[j]!));
const identity = (size: number): Matrix => zeros(size, size).map((row, i) => row.map((_, j) => (i === j ? 1 : 0)));

/** Shampoo's factor of one side, and its basis; the identity where the side is too long. */
class Side {
  private factor: Matrix;
  basis: Matrix;

  constructor(
    private readonly size: number,
    private readonly beta: number,
    private readonly rotates: boolean,
  ) {
    this.factor = zeros(size, size);
    this.basis = identity(size);
  }

  learn(outer: Matrix): void {
    this.factor = combined(this.factor, outer, (a, b) => this.beta * a + (1 - this.beta) * b);
  }

  decompose(): void {
    if (!this.rotates) return;
    this.basis = gramSchmidt(matrixOf(randomNormals(randomKey(6), this.size ** 2), this.size));
    for (let i = 0; i < 3000; i++) this.basis = gramSchmidt(product(this.factor, this.basis));
  }

  /** Turns the basis, and gives the order in which coordinates were taken. */
  turn(): readonly number[] {
    const order = Array.from({ length: this.size }, (_, i) => i);
    if (!this.rotates) return order;
    const image = product(this.factor, this.basis);
    const eigenvalue = (j: number): number => this.basis.reduce((sum, row, i) => sum + row[j]! * image[i]![j]!, 0);
    order.sort((i, j) => eigenvalue(j) - eigenvalue(i));
    this.basis = gramSchmidt(product(this.factor, columnsIn(this.basis, order)));
    return order;
  }
}

/** The algorithm of the public code, in float64. */
function published(gradients: readonly Matrix[], options: SoapOptions): Matrix[] {
  const { beta1 = 0.95, beta2 = 0.95, shampooBeta = 0.95, epsilon = 1e-8, every = 10 } = options;
  const { maxDimension = 10_000, biasCorrection = true } = options;
  const [rows, columns] = [gradients[0]!.length, gradients[0]![0]!.length];
  const left = new Side(rows, shampooBeta, rows <= maxDimension);
  const right = new Side(columns, shampooBeta, columns <= maxDimension);
  const down = (x: Matrix): Matrix => product(product(transposed(left.basis), x), right.basis);
  let [m, v] = [zeros(rows, columns), zeros(rows, columns)];
  return gradients.map((g, s) => {
    let direction = zeros(rows, columns);
    if (s > 0) {
      m = combined(m, g, (a, b) => beta1 * a + (1 - beta1) * b);
      v = combined(v, down(g), (a, b) => beta2 * a + (1 - beta2) * b * b);
      const correction = biasCorrection ? Math.sqrt(1 - beta2 ** s) / (1 - beta1 ** s) : 1;
      const quotient = combined(down(m), v, (a, b) => (correction * a) / (Math.sqrt(b) + epsilon));
      direction = product(product(left.basis, quotient), transposed(right.basis));
    }
    left.learn(product(g, transposed(g)));
    right.learn(product(transposed(g), g));
    if (s === 0) for (const side of [left, right]) side.decompose();
    else if (s % every === 0) {
      const byRow = left.turn().map(i => v[i]!);
      v = columnsIn(byRow, right.turn());
    }
    return direction;
  });
}

/** Gradients with singular values that lie apart. */
function distinct(key: number, size: number, count: number): Float32Array[] {
  return gradientStream(key, [size, size], count).map(noise =>
    noise.map((x, k) => x * 0.3 + (k % (size + 1) === 0 ? 4 / (1 + Math.floor(k / size)) : 0)),
  );
}

describe.each(BACKENDS)('soap on %s', backend => {
  useBackend(backend);

  it.each<SoapOptions>([
    { every: 1 },
    { every: 2, epsilon: 0.1, biasCorrection: false },
    { every: 3, beta1: 0.5, beta2: 0.9, shampooBeta: 0.7 },
    {},
  ])('follows the public code with %o', options => {
    const gradients = distinct(71, 4, 12);
    const expected = published(
      gradients.map(g => matrixOf(g, 4)),
      options,
    );
    expectAllClose(
      directions(soap(options), [4, 4], gradients),
      expected.map(d => d.flat()),
      1e-4,
    );
  });

  it('leaves the coordinates of a long side as they are', () => {
    const options = { every: 2, maxDimension: 4 };
    const gradients = gradientStream(72, [3, 6], 8);
    const expected = published(
      gradients.map(g => matrixOf(g, 6)),
      options,
    );
    expectAllClose(
      directions(soap(options), [3, 6], gradients),
      expected.map(d => d.flat()),
      1e-4,
    );
  });

  it('is Adam from the second gradient on where no side is rotated', () => {
    const gradients = gradientStream(73, [3, 5], 6);
    const betas = { beta1: 0.9, beta2: 0.99, epsilon: 1e-3 };
    const adam = directions(adamW({ ...betas, epsilonPlacement: 'beforeCorrection' }), [3, 5], gradients.slice(1));
    expectAllClose(
      directions(soap({ ...betas, maxDimension: 0 }), [3, 5], gradients),
      [new Array<number>(15).fill(0), ...adam.map(d => [...d])],
      1e-6,
    );
  });
});

describe('soap', () => {
  useBackend('cpu');

  it('has slots for the sides that are rotated', () => {
    const shapesOf = (maxDimension: number): Record<string, readonly number[]> => {
      const run = new RuleRun(soap({ maxDimension }), [2, 3]);
      const shapes = run.slotShapes();
      run.dispose();
      return shapes;
    };
    const moments = { m: [2, 3], v: [2, 3] };
    expect(shapesOf(0)).toEqual(moments);
    expect(shapesOf(2)).toEqual({ ...moments, leftFactor: [2, 2], leftBasis: [2, 2] });
    expect(shapesOf(3)).toEqual({
      ...moments,
      leftFactor: [2, 2],
      leftBasis: [2, 2],
      rightFactor: [3, 3],
      rightBasis: [3, 3],
    });
  });

  it.each([[[]], [[4]], [[2, 3, 4]]])('refuses the shape %o', shape => {
    expect(() => soap().state(shape)).toThrow(UnsupportedShapeError);
  });
});
