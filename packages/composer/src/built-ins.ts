import type { Described } from '@frugaljs/core';
import { asMatrix, PROJECTORS } from '@frugaljs/projectors';
import { STATE_FREE_RULES } from '@frugaljs/state-free';
import { STATE_FULL_RULES } from '@frugaljs/state-full';
import { drop } from './combine/drop.js';
import { type ResidualOptions, residual } from './combine/residual.js';
import { projectorFromJson, register, ruleFromJson } from './json.js';

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
register('combine', 'drop', () => drop(), true);
register(
  'combine',
  'residual',
  options => {
    const { rule, ...rest } = options as unknown as { rule: Described } & ResidualOptions;
    return residual(ruleFromJson(rule), rest);
  },
  true,
);
