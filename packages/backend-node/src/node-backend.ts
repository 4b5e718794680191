import type { KernelBackend, Tensor } from '@tensorflow/tfjs-core';
import { TensorFlowUnavailableError } from './errors.js';

/** An attribute of a TensorFlow operation. */
export interface Attribute {
  readonly name: string;
  readonly type: number;
  readonly value: unknown;
}

/** What TensorFlow returns for an output: the number of its handle, and what it is. */
export interface Output {
  id: number;
  readonly shape: number[];
  readonly dtype: number;
}

/** The native part of tfjs-node and tfjs-node-gpu. Handles are numbers, and whoever got one must delete it. */
export interface NativeBinding {
  /** Such as 2.9.1. */
  readonly TF_Version?: string;
  readonly TF_FLOAT: number;
  readonly TF_INT32: number;
  readonly TF_ATTR_TYPE: number;
  readonly TF_ATTR_INT: number;
  readonly TF_ATTR_FLOAT: number;
  readonly TF_ATTR_BOOL: number;
  readonly TF_ATTR_SHAPE: number;
  readonly TF_ATTR_STRING: number;
  executeOp(name: string, attributes: readonly Attribute[], inputs: readonly number[], outputs: number): Output[];
  createTensor(shape: readonly number[], dtype: number, values: ArrayLike<number>): number;
  deleteTensor(id: number): void;
  tensorDataSync(id: number): Float32Array | Int32Array | Uint8Array;
}

/** What tfjs-node keeps of a tensor: values that were not handed to TensorFlow yet, or the number of a handle. */
export interface StoredTensor {
  readonly shape: number[];
  readonly dtype: number;
  values: ArrayLike<number> | null;
  id: number;
}

/** The members of tfjs-node's backend that this package relies on. */
export interface NodeBackend extends KernelBackend {
  readonly binding: NativeBinding;
  readonly isUsingGpuDevice: boolean;
  readonly tensorMap: { get(dataId: object): StoredTensor };
  createOutputTensor(output: Output): Tensor;
}

const CONSTANTS = [
  'TF_FLOAT',
  'TF_INT32',
  'TF_ATTR_TYPE',
  'TF_ATTR_INT',
  'TF_ATTR_FLOAT',
  'TF_ATTR_BOOL',
  'TF_ATTR_SHAPE',
  'TF_ATTR_STRING',
] as const;
const FUNCTIONS = ['executeOp', 'createTensor', 'deleteTensor', 'tensorDataSync'] as const;

/**
 * A tfjs backend as that of tfjs-node. Some members are not documented; all are looked for, so that a change in
 * tfjs-node is an error and never a silent misreading.
 *
 * @throws TensorFlowUnavailableError when something is missing.
 */
export function nodeBackend(backend: KernelBackend): NodeBackend {
  const found = backend as NodeBackend;
  const binding = found.binding as NativeBinding | undefined;
  const missing = [
    ...CONSTANTS.filter(name => typeof binding?.[name] !== 'number').map(name => `binding.${name}`),
    ...FUNCTIONS.filter(name => typeof binding?.[name] !== 'function').map(name => `binding.${name}()`),
    ...(typeof found.tensorMap?.get === 'function' ? [] : ['tensorMap.get()']),
    ...(typeof found.createOutputTensor === 'function' ? [] : ['createOutputTensor()']),
  ];
  if (missing.length === 0) return found;
  throw new TensorFlowUnavailableError({
    parameter: 'backend',
    found: `a backend without ${missing.join(', ')}`,
    expected: 'the backend of @tensorflow/tfjs-node or @tensorflow/tfjs-node-gpu 4.22',
    advice: 'Install that version, or leave @frugaljs/backend-node out and let the reference kernels run.',
  });
}
