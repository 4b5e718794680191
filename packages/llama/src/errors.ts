/** The parts of an error message: what is wrong, what was found, what was expected and what to do. */
export interface Complaint {
  /** The config key, argument, tensor or file the complaint is about. */
  readonly parameter: string;
  readonly found: unknown;
  readonly expected: string;
  /** What the caller can do about it. */
  readonly advice?: string;
}

/** Base class of every error this package throws on purpose. */
export class LlamaError extends Error {
  readonly parameter: string;

  constructor(complaint: Complaint) {
    const advice = complaint.advice === undefined ? '' : ` ${complaint.advice}`;
    super(`${complaint.parameter}: expected ${complaint.expected}, found ${show(complaint.found)}.${advice}`);
    this.name = 'LlamaError';
    this.parameter = complaint.parameter;
  }
}

/** A key of a model configuration is missing, misspelled or has a value the model cannot have. */
export class ConfigError extends LlamaError {
  override readonly name = 'ConfigError';
}

/** An argument of a call (tokens, an option, a batch number) is outside its domain. */
export class ArgumentError extends LlamaError {
  override readonly name = 'ArgumentError';
}

/** Tensors to load do not fit the model: names are missing, unknown, or have another shape. */
export class WeightsError extends LlamaError {
  override readonly name = 'WeightsError';
}

/** A file does not have the format it should have. */
export class FormatError extends LlamaError {
  override readonly name = 'FormatError';
}

/** A corpus or tokenizer of that name, or a file at that path, does not exist or is too short. */
export class DataError extends LlamaError {
  override readonly name = 'DataError';
}

/** A downloaded file has another length or SHA-256 than the one published here. */
export class IntegrityError extends LlamaError {
  override readonly name = 'IntegrityError';
}

const LONGEST_SHOWN = 200;

function show(value: unknown): string {
  if (value === undefined) return 'nothing';
  if (typeof value === 'number' || typeof value === 'bigint') return String(value);
  if (typeof value === 'function') return 'a function';
  let text: string;
  try {
    text = JSON.stringify(value) ?? String(value);
  } catch {
    text = String(value);
  }
  return text.length > LONGEST_SHOWN ? `${text.slice(0, LONGEST_SHOWN)}…` : text;
}
