import type { Described, Rule } from '@frugaljs/core';
import { asMatrix, PROJECTORS, type VaryingJson, varyingOf } from '@frugaljs/projectors';
import { STATE_FREE_RULES } from '@frugaljs/state-free';
import { STATE_FULL_RULES } from '@frugaljs/state-full';
import { drop } from './combine/drop.js';
import { feedback } from './combine/feedback.js';
import { type ResidualOptions, residual } from './combine/residual.js';
import { scaledGradient } from './combine/scaled-gradient.js';
import { scaledResidual } from './combine/scaled-residual.js';
import { projectorFromJson, register, ruleFromJson } from './json.js';
import { averaged, biasCorrected, cautious, ema, limitGrowth, normalized, scaled, scheduleFree } from './wrappers.js';

// Imported for its effect: the parts that come with the library can be built from their descriptions.

for (const { kind, factory } of [...STATE_FULL_RULES, ...STATE_FREE_RULES]) register('rule', kind, factory, true);
for (const [kind, { create }] of Object.entries(PROJECTORS)) register('projector', kind, create, true);
// Within it may be a projector of one's own, which only the registry knows.
register(
  'projector',
  'asMatrix',
  options => asMatrix(projectorFromJson(options['projector'] as unknown as Described)),
  true,
);
register('projector', 'varying', options => varyingOf(options as unknown as VaryingJson, projectorFromJson), true);
register('combine', 'drop', () => drop(), true);
register('combine', 'feedback', () => feedback(), true);
register('combine', 'scaledResidual', scaledResidual, true);
register('combine', 'scaledGradient', scaledGradient, true);
register(
  'combine',
  'residual',
  options => {
    const { rule, ...rest } = options as unknown as { rule: Described } & ResidualOptions;
    return residual(ruleFromJson(rule), rest);
  },
  true,
);

/** What is made of a rule and options of its own. */
const WRAPPERS: Readonly<Record<string, (rule: Rule, options: object) => Rule>> = {
  averaged,
  biasCorrected,
  cautious,
  ema,
  limitGrowth,
  normalized,
  scheduleFree,
  scaled: (rule, options) => scaled(rule, (options as { factor: number }).factor),
};
for (const [kind, wrapped] of Object.entries(WRAPPERS)) {
  register(
    'rule',
    kind,
    options => {
      const { rule, ...own } = options as unknown as { rule: Described };
      return wrapped(ruleFromJson(rule), own);
    },
    true,
  );
}
