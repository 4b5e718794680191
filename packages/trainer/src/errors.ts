import { type Complaint, FrugalError } from '@frugaljs/core';

/** The loss exploded or gradients stayed infinite, and nothing that was allowed against it helped. */
export class DivergedError extends FrugalError {
  constructor(complaint: Complaint, cause?: unknown) {
    super('diverged', complaint, cause);
    this.name = 'DivergedError';
  }
}
