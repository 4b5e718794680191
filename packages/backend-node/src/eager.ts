import type { Shape } from '@frugaljs/core';
import { type Complaint, FrugalError } from '@frugaljs/core/errors';
import type { KernelBackend, Tensor } from '@tensorflow/tfjs-core';

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

/**
 * Something that holds the number of a TensorFlow handle: a temporary of a step, or what tfjs stores of a tensor. An
 * update in place puts another handle into it.
 */
export interface Cell {
  id: number;
}

const NONE: readonly Attribute[] = [];

/** Per-step numbers come and go; constants are among the first to come back. */
const MOST_SCALARS = 256;

/** Runs TensorFlow operations by name, on handles, without a tfjs tensor for every intermediate value. */
export class Eager {
  private readonly scalars = new Map<number, number>();
  private readonly integers = new Map<string, number>();

  constructor(readonly backend: NodeBackend) {}

  /** The attribute `name`, a type: float32 by default. */
  type(name: string, of: 'float32' | 'int32' | 'bool' = 'float32'): Attribute {
    const { TF_FLOAT, TF_INT32, TF_ATTR_TYPE } = this.backend.binding;
    // The number of the type bool is the same in every TensorFlow (types.proto).
    return { name, type: TF_ATTR_TYPE, value: { float32: TF_FLOAT, int32: TF_INT32, bool: 10 }[of] };
  }

  integer(name: string, value: number): Attribute {
    return { name, type: this.backend.binding.TF_ATTR_INT, value };
  }

  boolean(name: string, value: boolean): Attribute {
    return { name, type: this.backend.binding.TF_ATTR_BOOL, value };
  }

  /**
   * Runs an operation with one output, whose handle the caller deletes.
   *
   * @param attributes Those that TensorFlow does not see from the inputs: not their element types, unless the operation
   * takes a list of them. Each one given costs time with every call.
   */
  run(name: string, inputs: readonly number[], attributes: readonly Attribute[] = NONE): Output {
    return this.backend.binding.executeOp(name, attributes, inputs, 1)[0]!;
  }

  /** Runs an operation with several outputs. */
  runMany(name: string, inputs: readonly number[], attributes: readonly Attribute[], outputs: number): Output[] {
    return this.backend.binding.executeOp(name, attributes, inputs, outputs);
  }

  /** Runs an operation without outputs. */
  call(name: string, inputs: readonly number[], attributes: readonly Attribute[] = NONE): void {
    this.backend.binding.executeOp(name, attributes, inputs, 0);
  }

  delete(id: number): void {
    this.backend.binding.deleteTensor(id);
  }

  /** What tfjs stores of a tensor, handed to TensorFlow if that has not happened yet. */
  stored(tensor: Tensor): StoredTensor {
    const stored = this.backend.tensorMap.get(tensor.dataId);
    if (stored.values !== null) {
      stored.id = this.backend.binding.createTensor(stored.shape, stored.dtype, stored.values);
      stored.values = null;
    }
    return stored;
  }

  /** A tfjs tensor for a handle, which it takes over. */
  tensor(id: number, shape: Shape): Tensor {
    return this.backend.createOutputTensor({ id, shape: [...shape], dtype: this.backend.binding.TF_FLOAT });
  }

  /** A float32 number on the device; kept, not to be deleted. */
  scalar(value: number): number {
    let id = this.scalars.get(value);
    if (id !== undefined) {
      // To the end of the line, so that the oldest is the one that was least used.
      this.scalars.delete(value);
    } else {
      if (this.scalars.size >= MOST_SCALARS) this.forgetOldest();
      const { binding } = this.backend;
      id = binding.createTensor([], binding.TF_FLOAT, Float32Array.of(value));
    }
    this.scalars.set(value, id);
    return id;
  }

  /** An int32 tensor of few numbers, such as a shape or axes; kept, not to be deleted. */
  int32(values: readonly number[], shape: Shape = [values.length]): number {
    const key = `${shape}:${values}`;
    let id = this.integers.get(key);
    if (id === undefined) {
      const { binding } = this.backend;
      id = binding.createTensor(shape, binding.TF_INT32, Int32Array.from(values));
      this.integers.set(key, id);
    }
    return id;
  }

  /** The same buffer in another shape; a new handle. */
  reshape(id: number, shape: Shape): Output {
    return this.run('Reshape', [id, this.int32(shape)]);
  }

  /** The number in a tensor of one entry, which is deleted. Waits for the device. */
  read(id: number): number {
    const value = this.backend.binding.tensorDataSync(id)[0]!;
    this.delete(id);
    return value;
  }

  /** It cannot be an operand that was fetched just before for the same operation. */
  private forgetOldest(): void {
    const [value, id] = this.scalars.entries().next().value!;
    this.delete(id);
    this.scalars.delete(value);
  }
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

/** TensorFlow's binding for Node is not there, or lacks something that the kernels of this package build on. */
export class TensorFlowUnavailableError extends FrugalError {
  constructor(complaint: Complaint) {
    super('backend-unavailable', complaint);
    this.name = 'TensorFlowUnavailableError';
  }
}
