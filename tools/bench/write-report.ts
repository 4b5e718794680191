import { writeFileSync } from 'node:fs';
import { UsageError } from './usage-error.js';

/** Writes what was measured to the file of the option --json. */
export function writeReport(file: string, report: object): void {
  try {
    writeFileSync(file, `${JSON.stringify(report, null, 2)}\n`);
  } catch (error) {
    throw new UsageError(`--json: ${(error as Error).message}`);
  }
}
