import { type Combine, InvalidOptionError, type OnRefresh, type Projector, type Refresh } from '@frugaljs/core';
import { dct, svd, svdThenRandom } from '@frugaljs/projectors';
import { type AdamWOptions, adamW, factoredAdamW, oneSidedAdafactor } from '@frugaljs/state-full';
import { drop } from '../combine/drop.js';
import { feedback } from '../combine/feedback.js';
import { residual } from '../combine/residual.js';
import type { ComposedOptimizer } from '../optimizer.js';
import { subspace } from '../subspace.js';
import { ADAMEM_OPTIONS, DCT_ADAM_W_OPTIONS, GALORE_OPTIONS, GOLORE_OPTIONS, Q_GALORE_OPTIONS } from './options.js';
import {
  type CommonOptions,
  chooseAdam,
  chooseSize,
  composeScoped,
  requireRecipeOptions,
  type SubspaceScope,
  scopedProjector,
} from './settings.js';

export interface GaloreOptions extends CommonOptions, SubspaceScope {
  /** Rank of the subspace; give this or `density`. */
  readonly rank?: number;
  /** Rank as a share of the smaller dimension. Default 0.25. */
  readonly density?: number;
  /** Updates between two singular value decompositions (T). Default 200. */
  readonly updateGap?: number;
  /** Factor α on the learning rate of the projected parameters. Default 0.25. */
  readonly scale?: number;
  /** Betas and epsilon of Adam. Default: GaLore's, with epsilon 1e-6 added before bias correction. */
  readonly adam?: AdamWOptions;
}

/**
 * GaLore: Adam on the gradient projected on its leading singular vectors; the rest of the gradient is dropped. Plain Adam
 * for all that is not a hidden matrix, or of which the subspace would have nothing. Learning rate 0.01 by default, weight
 * decay after the step.
 *
 * Source: Zhao et al., "GaLore: Memory-Efficient LLM Training by Gradient Low-Rank Projection", ICML 2024
 * (arXiv 2403.03507), Algorithm 2.
 */
export function galore(options: GaloreOptions = {}): ComposedOptimizer {
  requireRecipeOptions('galore', options, GALORE_OPTIONS);
  return composed('galore', options, svd(chooseSize('galore', options, 0.25)), 'keep');
}

export interface QGaloreOptions extends GaloreOptions {
  /** The mean similarity of first singular vectors from which the interval of a parameter doubles. Default 0.4. */
  readonly similarity?: number;
  /** How many decompositions it is the mean of. Default 5. */
  readonly last?: number;
  /** The longest interval. Default: none. */
  readonly longestGap?: number;
}

/**
 * The lazy refresh of Q-GaLore: {@link galore}, of which each parameter decomposes half as often once its subspace has
 * stayed alike. Its state of 8 bits, basis of 4 bits and weights of 8 bits are not here yet: all is float32, so it saves
 * time and no memory over `galore`. The similarity is |cos|, as a singular vector has no sign of its own; the official code
 * takes the cosine with its sign. Intervals are counted from the refresh before.
 *
 * Source: Zhang et al., "Q-GaLore: Quantized GaLore with INT4 Projection and Layer-Adaptive Low-Rank Gradients", 2024
 * (arXiv 2407.08296).
 */
export function qGalore(options: QGaloreOptions = {}): ComposedOptimizer {
  requireRecipeOptions('qGalore', options, Q_GALORE_OPTIONS);
  const { updateGap = 200, similarity = 0.4, last = 5, longestGap } = options;
  if (longestGap !== undefined && longestGap < updateGap) {
    throw new InvalidOptionError({
      parameter: 'qGalore.longestGap',
      found: longestGap,
      expected: `at least \`updateGap\`, which is ${updateGap}`,
    });
  }
  const lazy: Omit<Refresh, 'every'> = {
    when: { measure: 'similarity', atLeast: similarity, last },
    ...(longestGap === undefined ? {} : { longest: longestGap }),
  };
  return composed('qGalore', options, svd(chooseSize('qGalore', options, 0.25)), 'keep', drop(), lazy);
}

export interface GoloreOptions extends GaloreOptions {
  /** Choices of the subspace that are fitted to the gradient, before they become random. Default 100. */
  readonly fitted?: number;
}

/**
 * GoLore: {@link galore}, with random subspaces in place of singular ones from some refresh on, and moments that are carried
 * from one to the next. The official code carries the first moment alone, and forgets to store it; here the second one
 * follows with the squares of the change of basis.
 *
 * Source: He et al., "Subspace Optimization for Large Language Models with Convergence Guarantees", 2024 (arXiv 2410.11289).
 */
export function golore(options: GoloreOptions = {}): ComposedOptimizer {
  requireRecipeOptions('golore', options, GOLORE_OPTIONS);
  const { fitted = 100 } = options;
  return composed('golore', options, svdThenRandom({ ...chooseSize('golore', options, 0.25), fitted }), 'transport');
}

export type DctAdamWOptions = GaloreOptions;

/**
 * DCT-AdamW: Adam on the columns of a fixed cosine basis that hold the most of the gradient, chosen anew at every update by
 * default, with moments that follow; the rest of the gradient is fed back to the next one. Needs neither SVD nor QR.
 *
 * Source: Modoranu et al., "FFT-based Dynamic Subspace Selection for Low-Rank Adaptive Optimization of Large Language
 * Models", 2025 (arXiv 2505.17967).
 */
export function dctAdamW(options: DctAdamWOptions = {}): ComposedOptimizer {
  requireRecipeOptions('dctAdamW', options, DCT_ADAM_W_OPTIONS);
  const { updateGap = 1, scale = 1, ...rest } = options;
  const projector = dct(chooseSize('dctAdamW', options, 0.25));
  return composed('dctAdamW', { ...rest, updateGap, scale }, projector, 'transport', feedback());
}

export interface AdamemOptions extends Omit<GaloreOptions, 'adam'> {
  /** δ: factor on the learning rate of what the subspace misses. Default 1. */
  readonly stateFreeScale?: number;
}

/**
 * AdaMeM: Adafactor with momentum in the singular subspace of GaLore, and one-sided Adafactor on what that misses; AdamW on
 * all that is not a hidden matrix. α is on the whole, and not within the residual as in the official code, where only 1 is
 * right. Learning rate 1e-3 by default, weight decay after the step.
 *
 * Source: Vyas, Morwani and Kakade, "AdaMeM: Memory Efficient Momentum for Adafactor", 2024; δ from FRUGAL's authors.
 */
export function adamem(options: AdamemOptions = {}): ComposedOptimizer {
  requireRecipeOptions('adamem', options, ADAMEM_OPTIONS);
  const { updateGap = 200, scale = 1, stateFreeScale = 1 } = options;
  const use = subspace({
    projector: scopedProjector(options, svd(chooseSize('adamem', options, 0.25))),
    rule: factoredAdamW({ secondMomentOf: 'momentum' }),
    combine: residual(oneSidedAdafactor(), { scale: stateFreeScale }),
    refresh: { every: updateGap },
    onRefresh: 'keep',
  });
  const inSubspace = { use, lrScale: scale, decay: 'after' } as const;
  return composeScoped('adamem', options, 1e-3, inSubspace, { use: adamW(), decay: 'after' });
}

/** Adam in a subspace alone. */
function composed(
  name: string,
  options: GaloreOptions,
  projector: Projector,
  onRefresh: OnRefresh,
  combine: Combine = drop(),
  cadence: Omit<Refresh, 'every'> = {},
): ComposedOptimizer {
  const { updateGap = 200, scale = 0.25, adam } = options;
  const rule = chooseAdam(`${name}.adam`, adam);
  const projected = subspace({
    projector: scopedProjector(options, projector),
    rule,
    combine,
    refresh: { every: updateGap, ...cadence },
    onRefresh,
  });
  const inSubspace = { use: projected, lrScale: scale, decay: 'after' } as const;
  return composeScoped(name, options, 0.01, inSubspace, { use: rule, decay: 'after' });
}
