import { residual, subspace } from '@frugaljs/composer';
import type { Projector, Rule } from '@frugaljs/core';
import { blockwise, columns, randK, rows, svd } from '@frugaljs/projectors';
import { signSgd } from '@frugaljs/state-free';
import { adamW, lion } from '@frugaljs/state-full';
import { customRule } from './custom-rule.js';

/** The share of every parameter that has state. */
const DENSITY = 0.25;
/** Steps are timed between refreshes; choosing a subspace is timed by itself. */
const refresh = { every: Number.POSITIVE_INFINITY };

const frugal = (projector: Projector): Rule =>
  subspace({ projector, rule: adamW(), combine: residual(signSgd()), refresh });

/** The compositions that are measured, by the name of the method. */
export const COMPOSITIONS = {
  adamW: () => adamW(),
  lion: () => lion(),
  signSgd: () => signSgd(),
  'frugal-blockwise': () => frugal(blockwise({ density: DENSITY })),
  'frugal-rows': () => frugal(rows({ density: DENSITY })),
  'frugal-columns': () => frugal(columns({ density: DENSITY })),
  'frugal-randk': () => frugal(randK({ density: DENSITY })),
  'frugal-svd': () => frugal(svd({ density: DENSITY })),
  'nested-rows': () => {
    const second = subspace({
      projector: rows({ density: DENSITY }),
      rule: lion(),
      combine: residual(signSgd()),
      refresh,
    });
    return subspace({ projector: rows({ density: DENSITY }), rule: adamW(), combine: residual(second), refresh });
  },
  'custom-rule': () => customRule(),
} satisfies Record<string, () => Rule>;

export type CompositionName = keyof typeof COMPOSITIONS;
