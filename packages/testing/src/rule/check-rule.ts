import type { Law } from '../law.js';
import type { Report } from '../report.js';
import { runLaws } from '../run-laws.js';
import { RULE_DESCENT_LAWS } from './descent-laws.js';
import { RULE_MATRIX_LAWS } from './matrix-laws.js';
import { RULE_STATE_LAWS } from './state-laws.js';
import { RULE_STRUCTURE_LAWS } from './structure-laws.js';
import { type RuleFactory, type RuleLawOptions, type RuleSubject, ruleSubject } from './subject.js';
import { RULE_VALUE_LAWS } from './value-laws.js';

/** Every law of rules, in the order in which they are tried. */
export const RULE_LAWS: readonly Law<RuleSubject>[] = [
  ...RULE_STRUCTURE_LAWS,
  ...RULE_VALUE_LAWS,
  ...RULE_MATRIX_LAWS,
  ...RULE_DESCENT_LAWS,
  ...RULE_STATE_LAWS,
];

/** Tries the laws of rules on what a factory makes, on the current tfjs backend. */
export function checkRule<Options = Readonly<Record<string, never>>>(
  factory: RuleFactory<Options>,
  options: RuleLawOptions<Options> = {},
): Promise<Report> {
  const subject = ruleSubject(factory, options);
  return runLaws(options.name ?? `rule ${subject.kind}`, RULE_LAWS, subject, options);
}
