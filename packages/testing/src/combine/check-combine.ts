import type { Report } from '../report.js';
import { runLaws } from '../run-laws.js';
import { COMBINE_LAWS } from './laws.js';
import { type CombineFactory, type CombineLawOptions, combineSubject } from './subject.js';

/** Tries the laws of combines on what a factory makes, on the current tfjs backend. */
export function checkCombine<Options = Readonly<Record<string, never>>>(
  factory: CombineFactory<Options>,
  options: CombineLawOptions<Options> = {},
): Promise<Report> {
  const subject = combineSubject(factory, options);
  return runLaws(options.name ?? `combine ${subject.kind}`, COMBINE_LAWS, subject, options);
}
