import { randomKey, randomNormals } from '@frugaljs/core';
import {
  matMul,
  mean,
  mul,
  type Scalar,
  square,
  sub,
  type Tensor2D,
  tensor2d,
  tidy,
  type Variable,
  variable,
} from '@tensorflow/tfjs-core';
import type { AdaptableModel, LinearAdapter } from '../src/index.js';

/** A linear layer under a loss that is no quadratic form of its weight. */
export class LinearModel implements AdaptableModel {
  readonly weight: Variable;
  #adapter: LinearAdapter | null = null;

  constructor(rows: number, columns: number, seed: number) {
    this.weight = tidy(() => variable(mul(numbers([rows, columns], seed), 0.5), true, 'block.proj.weight'));
  }

  parameters() {
    return { 'block.proj.weight': this.weight };
  }

  linearLayers() {
    return ['block.proj.weight'];
  }

  adaptLinear(_name: string, adapter: LinearAdapter | null) {
    this.#adapter = adapter;
  }

  loss(x: Tensor2D): Scalar {
    return tidy(() => {
      const weight = this.weight as Tensor2D;
      const y = this.#adapter?.forward(x, weight) ?? matMul(x, weight, false, true);
      return mean(square(sub(square(y), 0.3))) as Scalar;
    });
  }

  dispose(): void {
    this.weight.dispose();
  }
}

/** Normal numbers, the same at every call. */
export function numbers(shape: readonly number[], seed: number): Tensor2D {
  const [rows, columns] = shape as [number, number];
  return tensor2d(randomNormals(randomKey(seed, 'numbers'), rows * columns), [rows, columns]);
}

/** A matrix whose rows are orthonormal, by Gram and Schmidt in float64. */
export function orthonormalRows(rows: number, columns: number, seed: number): Tensor2D {
  const found: number[][] = [];
  for (let draw = 0; found.length < rows; draw++) {
    const row = Array.from(numbers([1, columns], seed + 31 * draw).dataSync());
    for (let pass = 0; pass < 2; pass++) {
      for (const other of found) {
        const along = row.reduce((sum, x, i) => sum + x * other[i]!, 0);
        for (let i = 0; i < columns; i++) row[i]! -= along * other[i]!;
      }
    }
    const norm = Math.hypot(...row);
    if (norm > 0.05) found.push(row.map(x => x / norm));
  }
  return tensor2d(found, [rows, columns]);
}
