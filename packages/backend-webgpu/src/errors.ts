import { type Complaint, FrugalError } from '@frugaljs/core/errors';

/** There is no WebGPU here: the browser or the operating system does not offer it, or has no adapter. */
export class WebGpuUnavailableError extends FrugalError {
  constructor(complaint: Complaint) {
    super('backend-unavailable', complaint);
    this.name = 'WebGpuUnavailableError';
  }
}

/** A tensor is larger than what the device lets a kernel bind or dispatch. */
export class DeviceLimitError extends FrugalError {
  constructor(complaint: Complaint) {
    super('out-of-memory', complaint);
    this.name = 'DeviceLimitError';
  }
}
