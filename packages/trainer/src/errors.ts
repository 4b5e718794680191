import { type Complaint, FrugalError } from '@frugaljs/core';

/** What ran out of memory: the heap of wasm, the memory of this process, a GPU, or TensorFlow's allocator. */
export type MemoryKind = 'wasm-heap' | 'host' | 'gpu' | 'tensorflow';

/** A tensor could not be allocated. The tensors that were there are as they were. */
export class OutOfMemoryError extends FrugalError {
  readonly kind: MemoryKind;

  constructor(kind: MemoryKind, complaint: Complaint, cause?: unknown) {
    super('out-of-memory', complaint, cause);
    this.name = 'OutOfMemoryError';
    this.kind = kind;
  }
}

/** The loss exploded or gradients stayed infinite, and nothing that was allowed against it helped. */
export class DivergedError extends FrugalError {
  constructor(complaint: Complaint, cause?: unknown) {
    super('diverged', complaint, cause);
    this.name = 'DivergedError';
  }
}
