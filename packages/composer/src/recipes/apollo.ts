import { sketch } from '@frugaljs/projectors';
import type { AdamWOptions } from '@frugaljs/state-full';
import { scaledGradient } from '../combine/scaled-gradient.js';
import type { ComposedOptimizer } from '../optimizer.js';
import { subspace } from '../subspace.js';
import { limitGrowth } from '../wrappers.js';
import { APOLLO_MINI_OPTIONS, APOLLO_OPTIONS } from './options.js';
import {
  type CommonOptions,
  chooseAdam,
  chooseProjector,
  chooseSize,
  composeScoped,
  correctedAfter,
  type ProjectorChoice,
  requireRecipeOptions,
  type SubspaceScope,
  scopedProjector,
} from './settings.js';

/** What APOLLO and APOLLO-Mini have in common. */
interface CommonApolloOptions extends CommonOptions, SubspaceScope {
  /** Updates between two sketches (T). Default 200. */
  readonly updateGap?: number;
  /** Factor on the step, in √: a step is √scale · s ⊙ G. Default 1, and 128 for APOLLO-Mini. */
  readonly scale?: number;
  /** γ: the norm of a step grows by this factor at most. `Infinity` limits nothing. Default 1.01. */
  readonly limit?: number;
  /** Betas and epsilon of Adam. Default: GaLore's, with epsilon 1e-6 added before bias correction. */
  readonly adam?: AdamWOptions;
}

export interface ApolloOptions extends CommonApolloOptions {
  /** Rank of the sketch; give this or `density`. */
  readonly rank?: number;
  /** Rank as a share of the smaller dimension. Default 0.25. */
  readonly density?: number;
  /** What projects: a projector, its JSON, or a name that takes `rank` or `density`. Default `sketch`. */
  readonly projector?: ProjectorChoice;
}

export interface ApolloMiniOptions extends CommonApolloOptions {
  /** Rank of the sketch. Default 1. */
  readonly rank?: number;
}

/**
 * APOLLO: steps by the raw gradient, of which each channel is scaled as Adam scales it in a random sketch. Full-rank steps
 * with the state of a small rank, and nothing is projected back. Plain Adam for all that is not a hidden matrix. Learning
 * rate 0.01 by default, weight decay after the step.
 *
 * Source: Zhu et al., "APOLLO: SGD-like Memory, AdamW-level Performance", MLSys 2025 (arXiv 2412.05270), Algorithm 1.
 */
export function apollo(options: ApolloOptions = {}): ComposedOptimizer {
  requireRecipeOptions('apollo', options, APOLLO_OPTIONS);
  const size = chooseSize('apollo', options, 0.25);
  const { projector = 'sketch', scale = 1 } = options;
  return composed('apollo', options, chooseProjector('apollo.projector', projector, size), 'channel', scale);
}

/**
 * APOLLO-Mini: as {@link apollo}, with a sketch of rank 1 and one factor for each matrix. Its state is one number and a
 * vector for each matrix.
 *
 * Source: Zhu et al., MLSys 2025 (arXiv 2412.05270), section 4.2.
 */
export function apolloMini(options: ApolloMiniOptions = {}): ComposedOptimizer {
  requireRecipeOptions('apolloMini', options, APOLLO_MINI_OPTIONS);
  const { rank = 1, scale = 128 } = options;
  return composed('apolloMini', options, sketch({ rank }), 'tensor', scale);
}

function composed(
  name: string,
  options: CommonApolloOptions,
  projector: Parameters<typeof scopedProjector>[1],
  per: 'channel' | 'tensor',
  scale: number,
): ComposedOptimizer {
  const { updateGap = 200, limit = 1.01, adam } = options;
  const rule = chooseAdam(`${name}.adam`, adam);
  const use = correctedAfter(rule, inside =>
    limitGrowth(
      subspace({
        projector: scopedProjector(options, projector),
        rule: inside,
        combine: scaledGradient({ per, scale: Math.sqrt(scale) }),
        refresh: { every: updateGap },
        onRefresh: 'keep',
      }),
      { factor: limit },
    ),
  );
  return composeScoped(name, options, 0.01, { use, decay: 'after' }, { use: rule, decay: 'after' });
}
