import type { StateFreeRule } from '@frugaljs/core';
import { normalizedSgd } from './normalized-sgd.js';
import { sgd } from './sgd.js';
import { signSgd } from './sign-sgd.js';
import { sinkGd } from './sink-gd.js';

/** What a table of rules, a configuration file or a test over all rules needs to know of one. */
export interface StateFreeRuleEntry {
  /** Name of the factory and `kind` of its rules. */
  readonly kind: string;
  /** Makes the rule; the options are checked when it is called. */
  factory(options?: object): StateFreeRule;
  /** Where the method was published. */
  readonly source: string;
  /** The direction as text. */
  readonly formula: string;
}

/** Every rule of this package, in the order of the documentation. */
export const STATE_FREE_RULES: readonly StateFreeRuleEntry[] = [
  { kind: 'signSgd', factory: signSgd, source: 'arXiv 1802.04434', formula: 'sign(g)' },
  { kind: 'sgd', factory: sgd, source: 'Robbins and Monro 1951', formula: 'g' },
  { kind: 'normalizedSgd', factory: normalizedSgd, source: 'arXiv 1507.02030', formula: 'g / (‖g‖ + ε)' },
  { kind: 'sinkGd', factory: sinkGd, source: 'arXiv 2502.06742', formula: 'rows and columns of RMS 1' },
];
