import { type Tensor, tensor, type Variable } from '@tensorflow/tfjs-core';
import type { LlamaConfig } from './config.js';
import { WeightsError } from './errors.js';
import { HEAD, parameterSpecs } from './parameters.js';

/** Numbers on the host, row after row. */
export interface HostTensor {
  readonly shape: readonly number[];
  readonly data: Float32Array;
}

/** Problems that a message lists. */
const LONGEST_LIST = 20;

/** Tensors by Hugging Face name. */
export type WeightMap = Readonly<Record<string, HostTensor | Tensor>>;

/**
 * Assigns a complete set of weights to a model's variables, after checking all of them. Stored rotary tables
 * (`…rotary_emb.inv_freq`) are recomputed by the model and ignored, as is `lm_head.weight` when the head is tied.
 *
 * @throws WeightsError listing every missing, unknown and misshapen tensor.
 */
export function assignWeights(
  config: LlamaConfig,
  variables: Readonly<Record<string, Variable>>,
  weights: WeightMap,
): void {
  const specs = parameterSpecs(config);
  const problems: string[] = [];
  for (const { name, shape } of specs) {
    const found = weights[name];
    if (found === undefined) {
      problems.push(`${name} is missing`);
    } else if (!Array.isArray(found.shape)) {
      problems.push(`${name} has no shape, which a tensor or { shape, data } has`);
    } else if (`${found.shape}` !== `${shape}`) {
      problems.push(`${name} has shape [${found.shape}], not [${shape}]`);
    } else if (isHost(found) && found.data.length !== product(shape)) {
      problems.push(`${name} has ${found.data.length} numbers for shape [${shape}]`);
    } else if (!isHost(found) && found.dtype !== 'float32') {
      problems.push(`${name} is ${found.dtype}, not float32`);
    }
  }
  const known = new Set(specs.map(({ name }) => name));
  for (const name of Object.keys(weights)) {
    if (known.has(name) || name.endsWith('rotary_emb.inv_freq')) continue;
    if (name === HEAD && config.tie_word_embeddings) continue;
    problems.push(`${name} is not part of this model`);
  }
  if (problems.length > 0) {
    const more = problems.length - LONGEST_LIST;
    const listed = more > 0 ? [...problems.slice(0, LONGEST_LIST), `and ${more} more`] : problems;
    throw new WeightsError({
      parameter: 'weights',
      found: problems.length === 1 ? '1 problem' : `${problems.length} problems`,
      expected: `the ${specs.length} tensors of the configuration`,
      advice: `${listed.join('; ')}. Compare the configuration with the one the weights were saved with.`,
    });
  }
  for (const { name } of specs) {
    const found = weights[name]!;
    if (isHost(found)) {
      const value = tensor(found.data, found.shape as number[]);
      variables[name]!.assign(value);
      value.dispose();
    } else {
      variables[name]!.assign(found);
    }
  }
}

function isHost(weight: HostTensor | Tensor): weight is HostTensor {
  return weight.data instanceof Float32Array;
}

function product(shape: readonly number[]): number {
  return shape.reduce((size, extent) => size * extent, 1);
}
