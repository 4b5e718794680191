import type { Report } from '@frugaljs/testing';

/** Something deliberately wrong, and the law that names the fault. */
export interface Mutant {
  readonly fault: string;
  /** The first law that must break. */
  readonly law: string;
  check(): Promise<Report>;
}
