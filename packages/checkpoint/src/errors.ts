import { type Complaint, FrugalError } from '@frugaljs/core';

/** Bytes are not what they should be: truncated, altered, or never a checkpoint. Nothing was loaded. */
export class InvalidCheckpointError extends FrugalError {
  constructor(complaint: Complaint) {
    super('invalid-checkpoint', complaint);
    this.name = 'InvalidCheckpointError';
  }
}

/** The checkpoint was written in a version of the format that this library does not read. */
export class CheckpointVersionError extends FrugalError {
  constructor(complaint: Complaint) {
    super('checkpoint-version', complaint);
    this.name = 'CheckpointVersionError';
  }
}

/** A place where a checkpoint and what it is loaded into differ. */
export interface Difference {
  /** Such as `groups[0].use.options.rule.options.beta1`, or the name of a parameter. */
  readonly path: string;
  /** As JSON; `nothing` where it is absent. */
  readonly saved: string;
  readonly now: string;
}

const SHOWN_DIFFERENCES = 12;

/** The checkpoint belongs to another model or composition. Nothing was loaded. */
export class CheckpointMismatchError extends FrugalError {
  /** All of them; the message shows the first twelve. */
  readonly differences: readonly Difference[];

  constructor(complaint: Complaint, differences: readonly Difference[]) {
    super('checkpoint-mismatch', complaint);
    this.name = 'CheckpointMismatchError';
    this.differences = differences;
    const lines = differences
      .slice(0, SHOWN_DIFFERENCES)
      .map(({ path, saved, now }) => `  ${path}: saved ${saved}, now ${now}`);
    const more = differences.length - lines.length;
    if (more > 0) lines.push(`  and ${more} more`);
    this.message = [this.message, ...lines].join('\n');
  }
}

/** Why a store could not be written or read. */
export type StorageFault = 'full' | 'not-writable' | 'in-the-way' | 'missing' | 'device';

/** The store failed: disk full, folder not writable, device gone. Checkpoints saved before are untouched. */
export class CheckpointStorageError extends FrugalError {
  readonly fault: StorageFault;

  constructor(fault: StorageFault, complaint: Complaint, cause?: unknown) {
    super('checkpoint-storage', complaint);
    this.name = 'CheckpointStorageError';
    this.fault = fault;
    this.cause = cause;
  }
}
