import type { ComposedOptimizer } from '@frugaljs/composer';
import { randomKey, randomNormals, type Shape, sizeOf } from '@frugaljs/core';
import { dispose, type Tensor, tensor, tidy, type Variable, variable } from '@tensorflow/tfjs-core';
import { bitsOf } from '../test-support/compositions.js';

const SHAPES: Readonly<Record<string, Shape>> = {
  'layers.0.up': [6, 4],
  'layers.1.up': [4, 6],
  'layers.2.up': [5, 5],
  norm: [5],
};

/** A few small variables, and reproducible gradients of them. */
export class TinyModel {
  readonly variables: readonly Variable[];
  readonly shapes: Readonly<Record<string, Shape>>;

  /** @param prefix Before the names of its variables, where there are several models. */
  constructor(prefix = '') {
    this.shapes = Object.fromEntries(Object.entries(SHAPES).map(([name, shape]) => [`${prefix}${name}`, shape]));
    this.variables = Object.entries(this.shapes).map(([name, shape]) =>
      tidy(() => variable(this.tensor(shape, name, 'start'), true, name)),
    );
  }

  /** The gradients of a step, which the caller disposes. */
  gradients(step: number): Record<string, Tensor> {
    return Object.fromEntries(
      Object.entries(this.shapes).map(([name, shape]) => [name, this.tensor(shape, name, step)]),
    );
  }

  /** One step; disposes its gradients. */
  train(optimizer: ComposedOptimizer, step: number): void {
    const gradients = this.gradients(step);
    try {
      optimizer.applyGradients(gradients);
    } finally {
      dispose(gradients);
    }
  }

  /** The bits of all weights. */
  bits(): string {
    return bitsOf(this.variables);
  }

  dispose(): void {
    dispose([...this.variables]);
  }

  private tensor(shape: Shape, ...labels: readonly (string | number)[]): Tensor {
    return tensor(randomNormals(randomKey(7, ...labels), sizeOf(shape)), [...shape]);
  }
}
