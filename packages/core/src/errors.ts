/** What a {@link FrugalError} is about; stable, for programs that react to errors. */
export type ErrorCode =
  | 'invalid-option'
  | 'invalid-expression'
  | 'unknown-name'
  | 'unmatched-group'
  | 'shape-mismatch'
  | 'unsupported-shape'
  | 'missing-gradient'
  | 'non-finite-gradient'
  | 'disposed'
  | 'torn-update'
  | 'shared-variable'
  | 'averaged-weights'
  | 'invalid-state'
  | 'not-serializable'
  | 'invalid-checkpoint'
  | 'checkpoint-version'
  | 'checkpoint-mismatch'
  | 'checkpoint-storage'
  | 'out-of-memory'
  | 'backend-unavailable'
  | 'unsupported-backend'
  | 'device-lost'
  | 'diverged';

/** The parts of an error message: what is wrong, what was found, what was expected and what to do. */
export interface Complaint {
  /** The parameter, option or name the complaint is about. */
  readonly parameter: string;
  readonly found: unknown;
  readonly expected: string;
  /** What the caller can do about it. */
  readonly advice?: string;
}

/** Base class of every error that frugal.js throws on purpose. */
export class FrugalError extends Error {
  readonly code: ErrorCode;
  readonly parameter: string;

  /** @param cause The error that this one explains. */
  constructor(code: ErrorCode, complaint: Complaint, cause?: unknown) {
    const advice = complaint.advice === undefined ? '' : ` ${complaint.advice}`;
    super(
      `${complaint.parameter}: expected ${complaint.expected}, found ${show(complaint.found)}.${advice}`,
      cause === undefined ? undefined : { cause },
    );
    this.name = 'FrugalError';
    this.code = code;
    this.parameter = complaint.parameter;
  }
}

/** An option has a value outside its domain. */
export class InvalidOptionError extends FrugalError {
  constructor(complaint: Complaint) {
    super('invalid-option', complaint);
    this.name = 'InvalidOptionError';
  }
}

/** A rule's or combine's `step` built an expression that has no meaning. */
export class InvalidExpressionError extends FrugalError {
  constructor(complaint: Complaint) {
    super('invalid-expression', complaint);
    this.name = 'InvalidExpressionError';
  }
}

/** A recipe, rule, projector, combine, schedule or variable of that name does not exist. */
export class UnknownNameError extends FrugalError {
  constructor(complaint: Complaint) {
    super('unknown-name', complaint);
    this.name = 'UnknownNameError';
  }
}

/** A parameter group that should match something matches no variable. */
export class UnmatchedGroupError extends FrugalError {
  constructor(complaint: Complaint) {
    super('unmatched-group', complaint);
    this.name = 'UnmatchedGroupError';
  }
}

/** Two shapes that must agree do not. */
export class ShapeMismatchError extends FrugalError {
  constructor(complaint: Complaint) {
    super('shape-mismatch', complaint);
    this.name = 'ShapeMismatchError';
  }
}

/** A part cannot work on a parameter of this shape. */
export class UnsupportedShapeError extends FrugalError {
  readonly #complaint: Complaint;

  constructor(complaint: Complaint) {
    super('unsupported-shape', complaint);
    this.name = 'UnsupportedShapeError';
    this.#complaint = complaint;
  }

  /** The same about a parameter, for a part that knows its shape alone. */
  at(name: string): UnsupportedShapeError {
    if (this.parameter.includes(`"${name}"`)) return this;
    return new UnsupportedShapeError({ ...this.#complaint, parameter: `${this.parameter} at "${name}"` });
  }
}

/** A trainable variable came without a gradient, or tfjs has none for an operation. */
export class MissingGradientError extends FrugalError {
  constructor(complaint: Complaint, cause?: unknown) {
    super('missing-gradient', complaint, cause);
    this.name = 'MissingGradientError';
  }
}

/** A gradient holds NaN or Inf. */
export class NonFiniteGradientError extends FrugalError {
  constructor(complaint: Complaint) {
    super('non-finite-gradient', complaint);
    this.name = 'NonFiniteGradientError';
  }
}

/** Something was used after it was disposed. */
export class DisposedError extends FrugalError {
  constructor(complaint: Complaint) {
    super('disposed', complaint);
    this.name = 'DisposedError';
  }
}

/**
 * An update failed when a part of it was made: some parameters have taken the step, others have not. The `cause` is what
 * went wrong.
 */
export class TornUpdateError extends FrugalError {
  constructor(complaint: Complaint, cause: unknown) {
    super('torn-update', complaint, cause);
    this.name = 'TornUpdateError';
  }
}

/** A variable is already being trained by another optimizer. */
export class SharedVariableError extends FrugalError {
  constructor(complaint: Complaint) {
    super('shared-variable', complaint);
    this.name = 'SharedVariableError';
  }
}

/** The variables hold averages of the weights for the moment, and neither train nor are saved with the state. */
export class AveragedWeightsError extends FrugalError {
  constructor(complaint: Complaint) {
    super('averaged-weights', complaint);
    this.name = 'AveragedWeightsError';
  }
}

/** Saved state does not fit the optimizer it is loaded into. */
export class InvalidStateError extends FrugalError {
  constructor(complaint: Complaint) {
    super('invalid-state', complaint);
    this.name = 'InvalidStateError';
  }
}

/** A composition holds something, such as a function, that JSON cannot carry. */
export class NotSerializableError extends FrugalError {
  constructor(complaint: Complaint) {
    super('not-serializable', complaint);
    this.name = 'NotSerializableError';
  }
}

/** The engine, the device, or the version of a tfjs backend lacks something that kernels build on. */
export class UnsupportedBackendError extends FrugalError {
  constructor(complaint: Complaint) {
    super('unsupported-backend', complaint);
    this.name = 'UnsupportedBackendError';
  }
}

/**
 * The GPU is gone: its driver restarted, it was unplugged, the page lost it, or it was destroyed. What was not saved is
 * lost with it.
 */
export class DeviceLostError extends FrugalError {
  constructor(complaint: Complaint, cause?: unknown) {
    super('device-lost', complaint, cause);
    this.name = 'DeviceLostError';
  }
}

/** What ran out of memory: the heap of wasm, the memory of this process, a GPU, or the allocator of a native library. */
export type MemoryKind = 'wasm-heap' | 'host' | 'gpu' | 'native';

/** A tensor could not be allocated. The tensors that were there are as they were. */
export class OutOfMemoryError extends FrugalError {
  readonly kind: MemoryKind;

  constructor(kind: MemoryKind, complaint: Complaint, cause?: unknown) {
    super('out-of-memory', complaint, cause);
    this.name = 'OutOfMemoryError';
    this.kind = kind;
  }
}

/** Longest description of what was found; the rest of a message must stay readable. */
const SHOWN_LENGTH = 200;

function show(found: unknown): string {
  const text = describe(found);
  return text.length <= SHOWN_LENGTH ? text : `${text.slice(0, SHOWN_LENGTH)}…`;
}

function describe(found: unknown): string {
  if (typeof found === 'string') return found === '' ? '""' : found;
  if (typeof found === 'function') return `function ${found.name || '(anonymous)'}`;
  if (typeof found !== 'object' || found === null || found instanceof RegExp) return String(found);
  const prototype: unknown = Object.getPrototypeOf(found);
  const isPlain = Array.isArray(found) || prototype === Object.prototype || prototype === null;
  if (!isPlain) return `an instance of ${found.constructor.name}`;
  try {
    return JSON.stringify(found);
  } catch {
    return String(found);
  }
}
