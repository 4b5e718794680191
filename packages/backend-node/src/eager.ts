import type { Shape } from '@frugaljs/core';
import type { Tensor } from '@tensorflow/tfjs-core';
import type { Attribute, NodeBackend, Output, StoredTensor } from './node-backend.js';

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
