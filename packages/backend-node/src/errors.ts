import { type Complaint, FrugalError } from '@frugaljs/core/errors';

/** TensorFlow's binding for Node is not there, or lacks something that the kernels of this package build on. */
export class TensorFlowUnavailableError extends FrugalError {
  constructor(complaint: Complaint) {
    super('backend-unavailable', complaint);
    this.name = 'TensorFlowUnavailableError';
  }
}
