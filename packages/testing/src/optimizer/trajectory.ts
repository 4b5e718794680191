import type { Shape } from '@frugaljs/core';
import { dispose, type NamedTensorMap, tensor, tidy, type Variable, variable } from '@tensorflow/tfjs-core';
import { type GradientStream, gradientAt, startOf } from '../arbitraries/gradient-streams.js';
import { requireAtMost } from '../numerics/closeness.js';
import type { LawfulOptimizer } from './algebra.js';

/** Values or gradients by name of the parameter. */
export type Values = Readonly<Record<string, Float32Array>>;

export interface FollowOptions {
  /** Default: those of the stream. Parameters left out get no gradient at that step. */
  readonly gradients?: (step: number) => Values;
  /** Default: those of the stream. */
  readonly start?: Values;
}

export function startValues(stream: GradientStream): Values {
  return mapShapes(stream, (name, shape) => startOf(stream, name, shape));
}

export function gradientValues(stream: GradientStream, step: number): Values {
  return mapShapes(stream, (name, shape) => gradientAt(stream, name, shape, step));
}

/** Makes the variables of a stream; the caller disposes them. */
export function makeVariables({ shapes }: GradientStream, start: Values): Variable[] {
  return Object.entries(shapes).map(([name, shape]) =>
    tidy(() => variable(tensor(start[name]!, [...shape], 'float32'), true, name)),
  );
}

/** Tensors of their own: the cpu backend keeps the array that a tensor is made of. The caller disposes them. */
export function gradientTensors({ shapes }: GradientStream, gradients: Values): NamedTensorMap {
  return Object.fromEntries(
    Object.entries(gradients).map(([name, g]) => [name, tensor(g.slice(), [...shapes[name]!], 'float32')]),
  );
}

/** Gives an optimizer the gradients of one step. */
export function applyStep(optimizer: LawfulOptimizer, stream: GradientStream, gradients: Values): void {
  const tensors = gradientTensors(stream, gradients);
  optimizer.applyGradients(tensors);
  dispose(tensors);
}

/** Disposes an optimizer after what it still reads: a tensor lives until it has been read. */
export async function end(optimizer: LawfulOptimizer | undefined): Promise<void> {
  await optimizer?.settled?.();
  optimizer?.dispose();
}

export async function valuesOf(variables: readonly Variable[]): Promise<Values> {
  const values = await Promise.all(variables.map(v => v.data<'float32'>()));
  return Object.fromEntries(variables.map(({ name }, i) => [name, values[i]!.slice()]));
}

/**
 * Runs an optimizer over a stream; returns the values after every step and disposes the optimizer.
 *
 * @param optimizer An optimizer, or a function that says which one takes a step.
 */
export async function follow(
  stream: GradientStream,
  optimizer: LawfulOptimizer | ((step: number) => LawfulOptimizer),
  { gradients = step => gradientValues(stream, step), start = startValues(stream) }: FollowOptions = {},
): Promise<Values[]> {
  const variables = makeVariables(stream, start);
  const path: Values[] = [];
  let current: LawfulOptimizer | undefined;
  try {
    for (let step = 0; step < stream.steps; step++) {
      const next = typeof optimizer === 'function' ? optimizer(step) : optimizer;
      if (next !== current) await end(current);
      current = next;
      applyStep(current, stream, gradients(step));
      path.push(await valuesOf(variables));
    }
  } finally {
    await end(current);
    dispose(variables);
  }
  return path;
}

/** Requires two paths to agree, relative to the largest value of each parameter; 0 means to the last bit. */
export function requireSamePath(
  what: string,
  found: readonly Values[],
  expected: readonly Values[],
  tolerance = 0,
): void {
  expected.forEach((values, step) => {
    for (const [name, x] of Object.entries(values)) {
      const scale = x.reduce((max, y) => Math.max(max, Math.abs(y)), 1e-30);
      let worst = 0;
      x.forEach((y, i) => {
        const error = Math.abs(found[step]![name]![i]! - y);
        if (!(error <= worst)) worst = error;
      });
      requireAtMost(`${what}: the largest difference in "${name}" after step ${step + 1}`, worst, tolerance * scale);
    }
  });
}

/** The stream with other parameters. */
export function withShapes(stream: GradientStream, shapes: Readonly<Record<string, Shape>>): GradientStream {
  return { ...stream, shapes };
}

function mapShapes({ shapes }: GradientStream, make: (name: string, shape: Shape) => Float32Array): Values {
  return Object.fromEntries(Object.entries(shapes).map(([name, shape]) => [name, make(name, shape)]));
}
