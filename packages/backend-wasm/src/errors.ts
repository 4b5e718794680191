import { type Complaint, FrugalError } from '@frugaljs/core/errors';

/** The engine, or the version of tfjs's WASM backend, lacks something that the kernels of this package build on. */
export class UnsupportedBackendError extends FrugalError {
  constructor(complaint: Complaint) {
    super('invalid-state', complaint);
    this.name = 'UnsupportedBackendError';
  }
}
