/** What is compared unless the user says otherwise; sized for three minutes on two cores. */
export interface ComparisonDefaults {
  readonly optimizers: string;
  readonly steps: number;
  readonly batch: number;
  readonly length: number;
  readonly seed: number;
  readonly data: string;
  /** Minutes that the comparison may take in all. */
  readonly minutes: number;
}

export const COMPARISON_DEFAULTS: ComparisonDefaults = {
  optimizers: 'adamW,frugal,frugal:density=0,badam,galore',
  steps: 400,
  batch: 8,
  length: 64,
  seed: 1,
  data: 'shakespeare',
  minutes: 4,
};
