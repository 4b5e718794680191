import type { ParameterSpec } from './parameters.js';
import { randomKey, randomNormals } from './random.js';

/**
 * Initial values of a parameter as Hugging Face's LLaMA starts: norms 1, matrices normal with mean 0 and standard
 * deviation `range`. They depend on the seed, the name and the shape alone.
 */
export function initialValues({ name, shape, kind }: ParameterSpec, seed: number, range: number): Float32Array {
  const size = shape.reduce((product, extent) => product * extent, 1);
  if (kind === 'norm') return new Float32Array(size).fill(1);
  return randomNormals(randomKey(seed, name), size, range);
}
