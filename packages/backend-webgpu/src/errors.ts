import { type Complaint, FrugalError } from '@frugaljs/core/errors';

/** There is no WebGPU here: the browser or the operating system does not offer it, or has no adapter. */
export class WebGpuUnavailableError extends FrugalError {
  constructor(complaint: Complaint) {
    super('invalid-state', complaint);
    this.name = 'WebGpuUnavailableError';
  }
}

/** The adapter, or the version of tfjs's WebGPU backend, lacks something that the kernels of this package build on. */
export class UnsupportedBackendError extends FrugalError {
  constructor(complaint: Complaint) {
    super('invalid-state', complaint);
    this.name = 'UnsupportedBackendError';
  }
}

/** A tensor is larger than what the device lets a kernel bind or dispatch. */
export class DeviceLimitError extends FrugalError {
  constructor(complaint: Complaint) {
    super('out-of-memory', complaint);
    this.name = 'DeviceLimitError';
  }
}

/** The GPU is gone: its driver was reset or removed, the tab was throttled, or the device was destroyed. */
export class DeviceLostError extends FrugalError {
  constructor(complaint: Complaint) {
    super('device-lost', complaint);
    this.name = 'DeviceLostError';
  }
}
